"""ONNX: encoder step, decoder step and vocoder frame as graphs with explicit state, and a manifest beside them.

A receiver needs the folder, numpy and onnxruntime, and nothing of this package.
"""

from aether_lite.export.folder import export_folder
from aether_lite.export.runner import OnnxStep, read_manifest
from aether_lite.export.steps import DecoderStep, EncoderStep, VocoderFrame

__all__ = ["DecoderStep", "EncoderStep", "OnnxStep", "VocoderFrame", "export_folder", "read_manifest"]
