"""Bundled speech as samples and as prepared pairs."""

from speech_pairs import data_root, speech, write_pair

__all__ = ["data_root", "speech", "write_pair"]
