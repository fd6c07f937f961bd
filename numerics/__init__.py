"""Experiments: trained toy models beside the theory. Everything that trains takes `device=` and runs on a CPU.

The names are those of `__init__.pyi`, each imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
