"""FARGAN's features: 36 numbers for each 10 ms of speech, from samples and from files."""

from aether_lite.features.analysis import StreamingExtractor, extract_features

__all__ = ["StreamingExtractor", "extract_features"]
