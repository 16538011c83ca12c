"""ONNX export: encoder step, decoder step and vocoder frame as graphs with explicit state, and a manifest beside them.

A receiver needs the folder, numpy and onnxruntime, and nothing of this package.
"""

from aether_lite.export.folder import export_folder
from aether_lite.export.runner import OnnxStep, decode_clip, encode_clip, read_manifest, speak_clip
from aether_lite.export.steps import BitDecoderStep, BitEncoderStep, DecoderStep, EncoderStep, VocoderFrame

__all__ = [
    "BitDecoderStep", "BitEncoderStep", "DecoderStep", "EncoderStep", "OnnxStep", "VocoderFrame", "decode_clip",
    "encode_clip", "export_folder", "read_manifest", "speak_clip",
]  # fmt: skip
