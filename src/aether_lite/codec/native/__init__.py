"""The codec's networks in kernels that numba compiles, one token a call; front: :mod:`aether_lite.codec.steps`."""
