"""libaether, the native core (``core/``): its weights file and its binding by cffi."""
