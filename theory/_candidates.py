"""Candidates: the three fixed models of the naive theory for two features in one dimension, derived with sympy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DENSITY, IMPORTANCE = sympy.symbols("p r", positive=True)


@dataclass(frozen=True)
class NaiveTheory:
    """Closed forms for n = 2, m = 1, importances (1, r), equal density p; sympy expressions in `DENSITY`, `IMPORTANCE`.

    only_first   loss of W = (1, 0), second bias at its best value
    only_second  loss of W = (0, 1), first bias at its best value
    antipodal    loss of W = (1, -1), zero bias
    dropped_bias best bias of a dropped feature
    boundary     importance r at which only_first = antipodal
    critical_density  the same line solved for p (r <= 1); antipodal wins below it
    """

    only_first: sympy.Expr
    only_second: sympy.Expr
    antipodal: sympy.Expr
    dropped_bias: sympy.Expr
    boundary: sympy.Expr
    critical_density: sympy.Expr


def integrated_loss(
    weights: Sequence[Sequence[object]],
    bias: Sequence[object],
    density: Sequence[sympy.Expr | int],
    importance: Sequence[object],
) -> sympy.Expr:
    """Loss Σ_i I_i E (x_i - ReLU(W_i·W x + b_i))² by integrating its definition with sympy.

    For every set of active features the squared error is integrated over their cube, ReLU as a Piecewise. Weights must be
    numbers, so that the pieces are known; bias, density and importance may hold positive symbols. `symbolic_loss` gives the
    same by the vertex formula, faster and with symbols in the weights; the two share nothing, and tests compare them.

    Grade EXACT.

    >>> integrated_loss([[1, -1]], [0, 0], [DENSITY] * 2, [1, IMPORTANCE])
    p**2*(r + 1)/6
    """
    w = sympy.Matrix(weights)
    n = w.shape[1]
    gram = w.T * w
    u = sympy.symbols(f"u:{n}", nonnegative=True)
    total = sympy.Integer(0)
    for size in range(n + 1):
        for active in combinations(range(n), size):
            x = [u[j] if j in active else sympy.Integer(0) for j in range(n)]
            chance = sympy.Mul(*(density[j] if j in active else 1 - density[j] for j in range(n)))
            for i in range(n):
                output = sympy.Max(0, sympy.expand((gram[i, :] * sympy.Matrix(x))[0] + bias[i]))
                error = ((x[i] - output) ** 2).rewrite(sympy.Piecewise)
                for j in active:
                    error = sympy.integrate(error, (u[j], 0, 1))
                total += chance * importance[i] * error
    return sympy.factor(sympy.simplify(total))


@cache
def naive_theory() -> NaiveTheory:
    """The three closed-form losses and their boundary, derived from the model: nothing is typed in.

    Source: the "theory" panel of the first phase diagram of Elhage et al. 2022 compares these fixed models.
    Grade EXACT for the fixed models. They are *not* the optimum over (W, b): see `phase_boundary`.

    >>> theory = naive_theory()
    >>> theory.antipodal, theory.boundary
    (p**2*(r + 1)/6, -2*p/(5*p - 4))
    """
    p, r = DENSITY, IMPORTANCE
    b = sympy.Symbol("b", positive=True)
    both = [p, p]
    free = integrated_loss([[1, 0]], [0, b], both, [1, r])
    (dropped,) = sympy.solve(sympy.diff(free, b), b)
    only_first = sympy.factor(free.subs(b, dropped))
    only_second = integrated_loss([[0, 1]], [dropped, 0], both, [1, r])
    antipodal = integrated_loss([[1, -1]], [0, 0], both, [1, r])
    (boundary,) = sympy.solve(sympy.Eq(only_first, antipodal), r)
    (critical,) = sympy.solve(sympy.Eq(only_first, antipodal), p)
    return NaiveTheory(only_first, only_second, antipodal, dropped, sympy.factor(boundary), sympy.factor(critical))


@cache
def naive_candidates(n: int = 2) -> dict[str, sympy.Expr]:
    """Losses of the fixed models of the naive theory, in `DENSITY` and `IMPORTANCE` r of the last feature, the others having 1.

    n = 2, m = 1: the three of `naive_theory`. n = 3, m = 2: two features stored, or a digon of two and the third dedicated; unit
    norms, zero biases, dropped features at their best bias. Three features in joint superposition are left out, as in the source.
    Source: the "theory" panels of Elhage et al. 2022. Grade EXACT for the fixed models. Raises InputError for another n.

    >>> naive_candidates(3)["digon of 2 and 3"]
    p**2*(r + 1)/6
    """
    r = IMPORTANCE
    pair = naive_theory()
    if n == 2:
        return {"only 1": pair.only_first, "only 2": pair.only_second, "antipodal": pair.antipodal}
    if n != 3:
        raise InputError(f"n must be 2 (in one dimension) or 3 (in two), got {n}")
    # Orthogonal blocks do not see each other, so losses of the pair are all there is.
    return {
        "1 and 2": pair.only_first,
        "2 and 3": pair.only_second,
        "digon of 2 and 3": pair.antipodal,
        "digon of 1 and 2": pair.antipodal.subs(r, 1),
    }


def naive_boundaries(n: int = 2) -> dict[tuple[str, str], sympy.Expr]:
    """Where two of the `naive_candidates` have equal loss: the importance r as a function of the density p. Grade EXACT.

    >>> naive_boundaries(3)["1 and 2", "digon of 2 and 3"]
    -2*p/(5*p - 4)
    """
    losses = naive_candidates(n)
    found = {}
    for first, second in combinations(losses, 2):
        for root in sympy.solve(sympy.Eq(losses[first], losses[second]), IMPORTANCE):
            found[first, second] = sympy.factor(root)
    return found


@cache
def _boundary_function() -> tuple[Callable[[Array], Array], float]:
    """The derived boundary as a numpy function, and the density at which it reaches importance 1."""
    theory = naive_theory()
    return sympy.lambdify(DENSITY, theory.boundary, "numpy"), float(theory.critical_density.subs(IMPORTANCE, 1))


def naive_boundary(density: Float[Array, " k"]) -> Float[Array, " k"]:
    """`NaiveTheory.boundary` in floats; nan where it exceeds importance 1 and the fixed models never superpose."""
    function, last = _boundary_function()
    boundary = np.full_like(density, np.nan)
    exists = density < last
    boundary[exists] = function(density[exists])
    return boundary
