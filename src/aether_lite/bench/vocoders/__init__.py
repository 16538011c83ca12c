"""Vocoders against each other: the same features, several sets of weights, objective quality."""
