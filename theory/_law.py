"""Law of the inputs: which features are active together, and the value of an active one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise, product
from math import comb, factorial
from typing import TYPE_CHECKING, Any, Literal

from ._checks import InputError, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["independent", "correlated", "anticorrelated"]
# Beta laws beyond this have coefficients whose alternating sums lose digits in floats.
LARGEST_BETA = 8


@dataclass(frozen=True)
class Values:
    """Law of the value V of an active feature on [0, 1]: an atom at 1 of mass `atom` (0 or 1) and the density Σ_r c_r u^r.

    Every method needs only E V^k e^{zV} = atom e^z + Σ_r c_r ∫ u^{r+k} e^{zu} du, or its counterpart for powers instead of
    exponentials. Use `UNIFORM`, `CONSTANT` or `beta_values`. Unbounded values (exponential, Gaussian) are not covered.
    """

    name: str
    atom: int
    coefficients: tuple[int, ...]

    def moment(self, k: int) -> Fraction:
        """E V^k, exactly.

        >>> UNIFORM.moment(2), CONSTANT.moment(2), beta_values(2, 1).moment(1)
        (Fraction(1, 3), Fraction(1, 1), Fraction(2, 3))
        """
        return self.atom + sum((Fraction(c, r + k + 1) for r, c in enumerate(self.coefficients)), Fraction(0))


UNIFORM = Values("uniform", 0, (1,))
CONSTANT = Values("constant", 1, ())


def beta_values(alpha: int, beta: int) -> Values:
    """Values with the Beta(α, β) density u^{α-1} (1-u)^{β-1} (α+β-1)! / ((α-1)! (β-1)!), α and β whole, α + β <= 8.

    Beta(1, 1) is uniform; Beta(1, 4) has most of its mass near 0, as rare large activations do. Raises InputError.

    >>> beta_values(2, 2).coefficients
    (0, 6, -6)
    """
    alpha, beta = whole("alpha", alpha, 1), whole("beta", beta, 1)
    if alpha + beta > LARGEST_BETA:
        raise InputError(f"alpha + beta must be at most {LARGEST_BETA}, got {alpha} + {beta}")
    if alpha == beta == 1:
        return UNIFORM
    scale = factorial(alpha + beta - 1) // (factorial(alpha - 1) * factorial(beta - 1))
    terms = [scale * comb(beta - 1, k) * (-1) ** k for k in range(beta)]
    return Values(f"beta({alpha}, {beta})", 0, (0,) * (alpha - 1) + tuple(terms))


@dataclass(frozen=True)
class Law:
    """Consecutive groups of features, independent of each other, and the law of the values.

    kind     'independent': every feature by itself (all sizes 1);
             'correlated': all features of a group are active together, with the group's density;
             'anticorrelated': at most one feature of a group is active, feature j with its density p_j.
    sizes    of the groups, adding up to n. Values of active features are independent in every case.
    """

    kind: Kind
    sizes: tuple[int, ...]
    values: Values = UNIFORM

    @property
    def groups(self) -> list[range]:
        """The features of each group."""
        ends = list(accumulate(self.sizes, initial=0))
        return [range(a, b) for a, b in pairwise(ends)]

    def states(self, group: range, density: Sequence[Any]) -> list[tuple[tuple[int, ...], Any]]:
        """The sets of active features of a group with their probabilities, in the arithmetic of `density` (n,)."""
        if self.kind == "anticorrelated":
            return [((), 1 - sum(density[j] for j in group)), *(((j,), density[j]) for j in group)]
        return [((), 1 - density[group[0]]), (tuple(group), density[group[0]])]

    def patterns(self, density: Sequence[Any]) -> Iterator[tuple[tuple[int, ...], Any]]:
        """Every set of active features that can occur, and its probability, in the arithmetic of `density` (n,).

        >>> law = Law("correlated", (2,))
        >>> list(law.patterns([Fraction(1, 10)] * 2))
        [((), Fraction(9, 10)), ((0, 1), Fraction(1, 10))]
        """
        for chosen in product(*(self.states(group, density) for group in self.groups)):
            active: tuple[int, ...] = ()
            chance: Any = 1
            for members, probability in chosen:
                active, chance = active + members, chance * probability
            yield active, chance


def independent(n: int, values: Values = UNIFORM) -> Law:
    """n independent features."""
    return Law("independent", (1,) * n, values)
