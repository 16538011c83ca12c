"""Training of the vocoder by itself, on features and the speech they come from."""
