"""Evolutionary multi-objective neural architecture search on weight-sharing supernets."""

import lazy_loader

__version__ = "0.1.0"

# __init__.pyi lists the public names; torch takes seconds, so that nothing is imported before it is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
