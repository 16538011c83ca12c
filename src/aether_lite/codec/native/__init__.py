"""One token through the codec's networks in kernels that numba compiles; :mod:`aether_lite.codec.steps` is their front."""
