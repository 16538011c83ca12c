"""Training losses, one file a family."""
