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
