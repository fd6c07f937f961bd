"""tegum: theory of superposition that you can check.

`tegum.theory` has exact losses, packings and phase boundaries, `tegum.numerics` the models trained beside them, and `tegum.papers`
the claims of papers with verdicts derived from evidence. The names below are also available here; nothing heavy is
imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import numerics as numerics
    from . import papers as papers
    from . import theory as theory

__version__ = "0.1.0"
_PARTS = ("theory", "numerics", "papers")


def __getattr__(name: str) -> Any:
    """The subpackages on first use, and the public names of `tegum.theory`."""
    if name in _PARTS:
        return import_module(f".{name}", __name__)
    if not name.startswith("_"):
        theory = import_module(".theory", __name__)
        if name in theory.__all__:
            return getattr(theory, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
