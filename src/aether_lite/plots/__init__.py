"""Figures drawn with matplotlib: spectrograms, F0 contours, speech images, symbols."""
