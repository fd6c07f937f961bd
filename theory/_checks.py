"""Input checks shared by every module: one error, one sentence, naming the value and the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class InputError(ValueError):
    """An argument breaks its rule. The message names the parameter, its value, the rule and what to do."""


class CertificateError(ValueError):
    """A certificate does not prove what it states. The message names the first thing that is not shown."""


def real_array(name: str, value: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    """`value` as a float64 array; InputError if it is not numeric, is ragged, or holds NaN or infinity."""
    try:
        found = np.asarray(value)
        array = np.asarray(found.real if found.dtype.kind == "c" else found, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number or a rectangular array of numbers, got {value!r}") from None
    if found.dtype.kind == "c":  # numpy would drop the imaginary parts
        raise InputError(f"{name} must be real, got complex numbers; give their real parts if that is meant")
    if not np.isfinite(array).all():
        bad = array[~np.isfinite(array)].flat[0]
        raise InputError(f"{name} must be finite, got {bad} among its values; remove or replace it")
    return array


def require(
    name: str,
    array: np.ndarray[Any, np.dtype[np.float64]],
    holds: Callable[[np.ndarray[Any, np.dtype[np.float64]]], np.ndarray[Any, np.dtype[np.bool_]]],
    rule: str,
) -> None:
    """InputError naming the first entry of `array` for which `holds` is false, and the rule."""
    ok = holds(array)
    if not np.all(ok):
        bad = array[~ok].flat[0] if array.ndim else array
        raise InputError(f"{name} must be {rule}, got {float(bad):g}")


def densities(name: str, value: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An array of densities, each in (0, 1]."""
    array = real_array(name, value)
    require(name, array, lambda p: (p > 0) & (p <= 1), "in (0, 1] (density = 1 - sparsity)")
    return array


def importances(name: str, value: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An array of importances, each positive."""
    array = real_array(name, value)
    require(name, array, lambda i: i > 0, "positive (leave a feature of no importance out)")
    return array


def whole(name: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)
