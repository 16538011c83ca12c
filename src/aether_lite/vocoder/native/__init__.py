"""FARGAN in kernels that numba compiles when first used; :mod:`aether_lite.vocoder.compiled` is their front."""
