"""Counts of almost-orthogonal vectors: bounds from both sides for any dimension and angle, with certificates.

Lines: unit vectors with |<x, y>| <= c for any two, L(n, c) of them at most. A code: <x, y> <= s, A(n, s) of them at most. The names are
those of `__init__.pyi`, each imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
