"""The link: speech or features through encoder, channel and decoder, as one call."""

from aether_lite.link.config import LinkConfig, snr_3k_db
from aether_lite.link.run import LinkInput, LinkResult, run_link

__all__ = ["LinkConfig", "LinkInput", "LinkResult", "run_link", "snr_3k_db"]
