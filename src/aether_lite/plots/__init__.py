"""Figures drawn with matplotlib: spectrograms, F0 contours, speech images, symbols and bits.

matplotlib is imported when a figure is drawn, and only its object interface is used: no window, no global state.
"""
