"""Training of the listener: hidden states of a recogniser's encoder, learned from features."""
