"""Lower bound of the optimal loss by convex optimisation, with a certificate that `_lower_check` verifies without a solver.

Three convex programs: the cone program of `_pair_bound` for patterns of two active features, with a linear program over subsets of features
here, for unequal importances and densities; and the price of a dimension with its waves, of `_dimension_price`, for all patterns at once.
The one that promises more is proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from flint import fmpq
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy.optimize import linprog

from ._checks import InputError, whole
from ._dimension_price import SLACK, Offer, offer_of, proved_offer
from ._grade import Grade
from ._law import independent
from ._lower_check import mixed_bound, subset_bounds
from ._pair_bound import exact, multipliers_of, pairs_of, proof_of, text_of
from ._price_check import price_levels, rational
from ._row_box import BOTH

if TYPE_CHECKING:
    from ._features import Features

LARGEST_N = 8
# Densities at which bounds for equal features are made, where the features' own differ.
LARGEST_TABLES = 3
# Share of the bound that is not worth the time of its proofs.
MISSED = 0.01


@dataclass(frozen=True)
class LowerBound:
    """No model loses less than `value` (rounded down); `certificate` proves it to `check_lower`.

    parts says what bounds it: per subset of features of weight in the linear program, or per feature at the price of a dimension. A
    value of 0 says nothing.
    """

    value: float
    parts: tuple[str, ...]
    certificate: dict[str, Any]
    grade: Grade = Grade.CERTIFIED


def lower_bound(features: Features, m: int) -> LowerBound:
    """A number that the loss of no model (W, b) of m dimensions is below, proved.

    The larger of two. Subsets of features, weighted by a linear program: patterns of at most two active features (a second-order cone
    program over positive-definite kernels and the rank of the Gram matrix, proved by a tree of boxes), and what any decoder must lose
    where more than m features are active. And a price of a dimension: dimensionalities add up to at most m, and each row's error, at the
    price of the dimensionality it takes, is bounded below by waves, whose mean is a product over the other features. Statements
    and proofs in `theory/_lower_check.py` and `theory/_price_check.py`.

    features: one instance of n <= 8 independent uniform features; m >= 1. With m >= n the bound is 0, and attained. It is tight to leading
    order for sparse features that pair up (n = 2 m), more than half of it at densities from 0.3 to 0.9, and least (about an eighth) for
    very sparse features with n > 2 m and m > 1: benchmarks/results/lower_bounds.json has the gaps.
    Grade CERTIFIED: `check_lower(bound.certificate)` verifies it in rational arithmetic. Raises InputError for a batch, more features,
    or another law. Source: Delsarte 1973 and Yudin 1992 for the linear programming; Welch 1974 and Sidelnikov 1974 for the kernels;
    Scherlis et al. 2022 for the sum of dimensionalities.

    >>> from tegum.theory import Features
    >>> bound = lower_bound(Features(0.1, n=2), 1)
    >>> 0.0032 < bound.value < 0.00331948  # the optimum, a digon
    True
    """
    m = whole("m", m, 1)
    if features.density.ndim != 1:
        raise InputError(
            f"features must be a single instance of shape (n,), got {features.density.shape}; bound one at a time"
        )
    n = features.n
    if n > LARGEST_N or features.law != independent(n):
        raise InputError(
            f"features must be at most {LARGEST_N}, independent and uniform, got {features!r}; take a part of them"
        )
    density = list(map(exact, features.density))
    subsets = [s for k in range(m + 1, n + 1) for s in combinations(range(n), k)]
    # First with what the cone programs promise; then what matters of that is proved.
    kinds = [(k, same) for k in range(m + 1, n + 1) for same in ((False, True) if m == 1 else (False,))]
    tables = [
        _Table(p, {(k, same): _promise(k, m, p, same) for k, same in kinds}, {}) for p in _bases(features.density)
    ]
    offer = offer_of(features.density, features.importance, m) if n > m else None
    if offer is not None and (1 - SLACK) * offer.bound > _total(subsets, density, features.importance, tables, m):
        return _at_a_price(features, m, offer)
    tables = [_proved(table, m) for table in _needed(subsets, density, features.importance, tables, m)]
    weights, source, worth = _share(subsets, density, features.importance, tables, m)
    parts = [
        {"features": list(subsets[k]), "weight": text_of(weights[k]), "table": int(source[k])}
        for k in np.flatnonzero(weights)
    ]
    total = sum((exact(weights[k]) * worth[k] for k in np.flatnonzero(weights)), fmpq(0))
    words = tuple(_words(subsets[k], weights[k], tables[source[k]], worth[k]) for k in np.flatnonzero(weights))
    words = words or ("nothing: no subset of more than m features has a positive bound",)
    return _result(features, m, total, words, [table.written() for table in tables], parts, None)


def _result(
    features: Features,
    m: int,
    total: fmpq,
    words: tuple[str, ...],
    tables: list[dict[str, Any]],
    subsets: list[dict[str, Any]],
    price: dict[str, Any] | None,
) -> LowerBound:
    value = max(float(np.nextafter(_float(total), 0)), 0.0)
    certificate = {
        "kind": "lower bound",
        "m": m,
        "density": [text_of(p) for p in features.density],
        "importance": [text_of(x) for x in features.importance],
        "tables": tables,
        "subsets": subsets,
        "price": price,
        "value": text_of(value),
    }
    return LowerBound(value, words, certificate)


def _at_a_price(features: Features, m: int, offer: Offer) -> LowerBound:
    """The bound of `_price_check`."""
    part = proved_offer(features.density, features.importance, offer)
    levels = price_levels(list(map(exact, features.density)), part)
    words = tuple(
        f"feature {i}: error and share of a dimension at the price {offer.price:.6g} at least {_float(level):.6g}"
        for i, level in enumerate(levels)
    )
    return _result(features, m, sum(levels, fmpq(0)) - rational(part["price"]) * m, words, [], [], part)


class _Table(NamedTuple):
    """Bounds of statements 4 (False) and 5 (True) at one density, for each number of features, and the proofs of those that have one."""

    p: float
    pairs: dict[tuple[int, bool], fmpq]
    proofs: dict[tuple[int, bool], dict[str, Any]]

    def written(self) -> dict[str, Any]:
        """As in a certificate."""
        kinds = {"pairs": False, "aligned": True}
        proofs = {
            name: {str(k): x for (k, same), x in self.proofs.items() if same == kind} for name, kind in kinds.items()
        }
        return {"density": text_of(self.p), **proofs}

    def values(self, n: int, m: int) -> list[fmpq]:
        """v(0), ..., v(n)."""
        return subset_bounds(n, m, exact(self.p), self.pairs)


def _bases(density: Float[Array, " n"]) -> list[float]:
    """Densities of the tables: those of the features, at most `LARGEST_TABLES` of them, the least always."""
    distinct = np.unique(density)
    some = distinct[np.unique(np.linspace(0, len(distinct) - 1, min(len(distinct), LARGEST_TABLES)).astype(int))]
    return [float(p) for p in some]


def _promise(n: int, m: int, p: float, same: bool) -> fmpq:
    """What the cone program gives; 0 where patterns of two active features hardly occur."""
    return exact(multipliers_of(n, m, p, same)[0]) if p < 1 and pairs_of(n, m, p).law[BOTH] > 1e-9 else fmpq(0)


def _needed(
    subsets: list[tuple[int, ...]], density: list[fmpq], importance: Float[Array, " n"], tables: list[_Table], m: int
) -> list[_Table]:
    """The tables without the bounds that the whole hardly misses."""

    least = (1 - MISSED) * _total(subsets, density, importance, tables, m)
    for i, table in enumerate(tables):
        for k in table.pairs:
            fewer = {j: u for j, u in tables[i].pairs.items() if j != k}
            trial = [*tables[:i], _Table(table.p, fewer, {}), *tables[i + 1 :]]
            if _total(subsets, density, importance, trial, m) >= least:
                tables = trial
    return tables


def _total(
    subsets: list[tuple[int, ...]], density: list[fmpq], importance: Float[Array, " n"], tables: list[_Table], m: int
) -> float:
    weights, _, worth = _share(subsets, density, importance, tables, m)
    return float(sum(w * _float(v) for w, v in zip(weights, worth, strict=True)))


def _proved(table: _Table, m: int) -> _Table:
    """The table with proofs in the place of promises."""
    found = {(k, same): proof_of(k, m, table.p, same) for k, same in table.pairs}
    return _Table(table.p, {k: u for k, (u, _) in found.items()}, {k: proof for k, (_, proof) in found.items()})


def _share(
    subsets: list[tuple[int, ...]], density: list[fmpq], importance: Float[Array, " n"], tables: list[_Table], m: int
) -> tuple[Float[Array, " s"], Int[Array, " s"], list[fmpq]]:
    """Weights of the subsets (dyadic, rounded so that no importance is overspent), the best table of each and its bound."""
    n = len(density)
    values = [table.values(n, m) for table in tables]
    source, worth = np.zeros(len(subsets), int), []
    for k, subset in enumerate(subsets):
        part = [density[i] for i in subset]
        options = [
            mixed_bound(part, exact(t.p), v) if exact(t.p) <= min(part) else fmpq(-1)
            for t, v in zip(tables, values, strict=True)
        ]
        source[k] = int(np.argmax([float(x) for x in options]))
        worth.append(options[source[k]])
    if not subsets:
        return np.zeros(0), source, worth
    member = np.array([[i in s for s in subsets] for i in range(n)], float)
    gain = np.array([float(x) for x in worth])
    found = linprog(-gain / max(gain.max(), 1e-300), A_ub=member, b_ub=importance)
    unit = 2.0 ** (np.floor(np.log2(importance.min())) - 40)
    return np.maximum(np.floor(found.x / unit - n) * unit, 0), source, worth


def _words(subset: tuple[int, ...], weight: float, table: _Table, worth: fmpq) -> str:
    how = "pairs and any decoder" if table.proofs else "any decoder"
    return f"features {list(subset)}: weight {weight:.4g} times {_float(worth):.6g}, {how} at density {table.p:g}"


def _float(x: fmpq) -> float:
    return int(x.p) / int(x.q)
