"""Theory of superposition: exact losses, packings and phase boundaries, without sampling.

Conventions: n features, m hidden dimensions, density p, importance I, weights W of shape (..., m, n) whose column i is the
direction of feature i, bias b of shape (..., n), model x' = ReLU(WᵀW x + b).

The names are those of `__init__.pyi`; each is imported when it is first used, so that a count does not wait for sympy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
