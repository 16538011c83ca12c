"""Training losses, one file a family.

Where a loss is a ratio or a masked mean over the batch, :mod:`aether_lite.losses.reduction` says how it is the same
on any number of ranks.
"""
