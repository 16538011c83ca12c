"""Digital transmission for the baselines: modem, channel code, speech codec and the modes made of them."""
