"""The link: speech or features through encoder, channel and decoder, as one call."""
