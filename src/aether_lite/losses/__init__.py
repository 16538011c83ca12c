"""Training losses, one file a family; terms of the codec's training register where they are defined.

Where a loss is a ratio or a masked mean over the batch, :mod:`aether_lite.losses.reduction` says how it is the same
on any number of ranks. A new term is one new file with a function under the decorator
:meth:`~aether_lite.losses.registry.TermGroup.term`: training finds it.
"""
