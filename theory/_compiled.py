"""Compiled: the decorator of compiled loops, kept on disk for later runs where there is a folder to write to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

Loop = TypeVar("Loop", bound="Callable[..., Any]")


def compiler(**options: Any) -> Callable[[Loop], Loop]:
    """`numba.njit(cache=True, **options)`, or without the cache where numba finds no folder for it: the same numbers, to rounding.

    The cache is beside the function's file, else in the user's cache folder, or in $NUMBA_CACHE_DIR. Without it every process
    compiles anew what it calls. Callers state all options themselves, as the cache follows changes of their file only.

    >>> @compiler(error_model="numpy")
    ... def reciprocal(x):
    ...     return 1 / x
    >>> reciprocal(0.0)
    inf
    """

    def compiled(function: Loop) -> Loop:
        try:
            loop: Loop = numba.njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
            loop = numba.njit(**options)(function)
        return loop

    return compiled
