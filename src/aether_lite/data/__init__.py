"""Training data: preparation, checks, pairs of features and audio, augmentation, parallel loading."""
