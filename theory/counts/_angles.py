"""Angles: exact laws of the cosine between two random vectors.

The vectors are independent, with a law that is invariant under a group of isometries that acts transitively on the vectors that occur:
uniform on the sphere (rotations), random signs (sign changes), random signs at s of n places (sign changes and permutations).
Hence the law of <x, y> for fixed x does not depend on x, and

1 **Pairwise independence.** <x_i, x_j> and <x_i, x_k>, j != k, are independent given x_i, each with a law that does not depend on x_i, so
  they are independent; pairs without a common vector are independent anyway. So are all cosines along the edges of a forest (remove
  leaves one by one); those of a triangle are not. The fraction of M = N (N - 1)/2 pairs with a property of probability p therefore has the
  variance p (1 - p)/M, exactly as if the pairs were independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from flint import arb, ctx, fmpq, fmpz

from .._checks import InputError, whole

if TYPE_CHECKING:
    from collections.abc import Callable

# Floats count as the dyadic rationals they are.
Rational = float | Fraction | fmpq
Cosine = Rational | arb

KINDS = ("uniform", "signs", "sparse")
# Bits: beta functions lose fewer than 30 of them for n up to 10^7.
BITS = 128
LARGEST_N = 10**7
# Signs whose sums are counted one by one, in integers of as many bits.
LARGEST_EXACT = 10_000
# Quantiles of the uniform law are enclosed between neighbours of a grid of this step.
GRID = 2**60


@dataclass(frozen=True)
class AngleLaw:
    """The law of the cosine between two independent random vectors of R^n.

    kind "uniform": uniform on the sphere, cos² ~ Beta(1/2, (n - 1)/2); n >= 2.
    kind "signs": each entry ±1, cos = S_n/n, S_n a sum of n random signs.
    kind "sparse": `sparsity` = s entries ±1 at random places, the others 0; cos = S_J/s, where J, the number of common places, is
    hypergeometric, P(J = j) = C(s, j) C(n - s, s - j)/C(n, s). s = n is "signs".

    Probabilities are balls (grade ENCLOSED), from an exact rational where signs are counted (`exact_tail`).
    Raises InputError for n, kind or sparsity out of range.

    >>> float(AngleLaw(3).tail(0.25)), AngleLaw(4, "signs").exact_tail(0.25), AngleLaw(4, "sparse", 2).exact_tail(0.5)
    (0.75, 5/8, 1/12)
    """

    n: int
    kind: str = "uniform"
    sparsity: int | None = None

    def __post_init__(self) -> None:
        if whole("n", self.n, 2 if self.kind == "uniform" else 1) > LARGEST_N:
            raise InputError(f"n must be at most {LARGEST_N}, where the precision of the balls was tried, got {self.n}")
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if (self.kind == "sparse") != (self.sparsity is not None):
            raise InputError(f"sparsity goes with kind 'sparse' and no other, got kind {self.kind!r}, {self.sparsity}")
        if self.sparsity is not None and whole("sparsity", self.sparsity, 1) > min(self.n, LARGEST_EXACT):
            raise InputError(f"sparsity must be at most n and {LARGEST_EXACT}, got {self.sparsity} at n = {self.n}")

    @property
    def weight(self) -> int | None:
        """Number of non-zero entries, each ±1; None for the uniform law."""
        return self.n if self.kind == "signs" else self.sparsity

    @property
    def square_moments(self) -> tuple[fmpq, fmpq]:
        """Mean and variance of cos²: the mean is 1/n for all three kinds. Grade EXACT.

        >>> AngleLaw(10).square_moments, AngleLaw(10, "sparse", 3).square_moments
        ((1/10, 3/200), (1/10, 43/2700))
        """
        n, s = self.n, self.weight
        if s is None:
            fourth = fmpq(3, n * (n + 2))
        else:
            # E S_j⁴ = 3 j² - 2 j = 3 j (j - 1) + j, and the factorial moments of J.
            pairs = fmpq(s * s * (s - 1) ** 2, n * (n - 1)) if n > 1 else fmpq(0)
            fourth = (3 * pairs + fmpq(s * s, n)) / s**4
        return fmpq(1, n), fourth - fmpq(1, n * n)

    def tail(self, cosine: Cosine) -> arb:
        """P(|cos| > c) for 0 <= c <= 1: for the uniform law the regularised incomplete beta function I_{1-c²}((n - 1)/2, 1/2).

        A few milliseconds for any n up to 10^7. Grade ENCLOSED. InputError for a cosine outside [0, 1].

        >>> float(AngleLaw(2).tail(0.5)), float(AngleLaw(10**6, "signs").tail(0.003))
        (0.6666666666666666, 0.0026909279567305586)
        """
        c = _checked(cosine)
        with ctx.workprec(BITS):
            if self.weight is None:
                c = arb(c)
                return arb.beta_lower(1 - c * c, arb(self.n - 1) / 2, arb(1) / 2, regularized=True).nonnegative_part()
            if self.weight <= LARGEST_EXACT:
                return arb(self.exact_tail(c))
            # S >= t + 1 when at most k signs are minus.
            k = (self.n - _floor(c, self.n) - 1) // 2
            return 2 * arb.beta_lower(arb(0.5), self.n - k, k + 1, regularized=True) if k >= 0 else arb(0)

    def exact_tail(self, cosine: Cosine) -> fmpq:
        """P(|cos| > c) of signs and sparse vectors, at most 10^4 non-zero entries, as a rational. Grade EXACT.

        >>> AngleLaw(5, "signs").exact_tail(0.5), AngleLaw(5, "signs").exact_tail(Fraction(3, 5))
        (3/8, 1/16)
        """
        s = self.weight
        if s is None or s > LARGEST_EXACT:
            raise InputError(
                f"exact_tail counts signs, at most {LARGEST_EXACT} of them; use tail for {self.kind}, n = {self.n}"
            )
        first = max(0, 2 * s - self.n)
        overlaps = fmpz.bin_uiui(s, first) * fmpz.bin_uiui(self.n - s, s - first)
        total = fmpz(0)
        for j, sums in enumerate(_sums_at_least(_floor(_checked(cosine), s) + 1, s)):
            if j >= first:
                total += overlaps * sums << (s - j)
                overlaps = overlaps * (s - j) ** 2 // ((j + 1) * (self.n - 2 * s + j + 1)) if j < s else overlaps
        return fmpq(2 * total, fmpz.bin_uiui(self.n, s) << s)

    def within(self, degrees: Rational) -> arb:
        """P(the angle is at most `degrees` from 90°) = 1 - tail(sin(degrees)), 0 <= degrees <= 90. Grade ENCLOSED.

        >>> float(AngleLaw(3).within(30)), AngleLaw(100).within(5)
        (0.5, [0.613867548381907 +/- 4.42e-16])
        """
        with ctx.workprec(BITS):
            return 1 - self.tail(_sine(degrees))

    def quantile(self, probability: Rational) -> arb:
        """The least c with P(|cos| <= c) >= probability, 0 < probability < 1. Grade ENCLOSED.

        >>> float(AngleLaw(3).quantile(0.25)), float(AngleLaw(5, "signs").quantile(0.625))
        (0.25, 0.2)
        """
        q = probability_of(probability)

        def between(c: fmpq) -> tuple[arb | fmpq, arb | fmpq]:
            exact = self.weight is not None and self.weight <= LARGEST_EXACT
            within = 1 - (self.exact_tail(c) if exact else self.tail(c))
            return within, within

        return least(self, q, between)


def near_orthogonal_dimension(degrees: Rational, probability: Rational) -> int:
    """The least n >= 2 at which two uniform vectors are within `degrees` of 90° with at least this probability. Grade ENCLOSED.

    cos² in R^(n+1) is that in R^n times an independent Beta variable, so the probability increases with n.
    0 < degrees < 90, 0 < probability < 1. Raises InputError, also where n would exceed 10^7.

    >>> near_orthogonal_dimension(30, 0.6), near_orthogonal_dimension(5, 0.95)
    (4, 506)
    """
    with ctx.workprec(BITS):
        target = arb(probability_of(probability))

    def reached(n: int) -> bool:
        within = AngleLaw(n).within(degrees)
        if within.overlaps(target):
            raise InputError(
                f"at n = {n} the probability {probability} is attained to all digits; ask for a little less"
            )
        return bool(within > target)

    low, high = 1, 2
    while not reached(high):
        low, high = high, 2 * high
        if high > LARGEST_N:
            raise InputError(
                f"no n up to {LARGEST_N} has angles within {degrees} degrees with probability {probability}"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def mean_square_interference(n: int, count: int) -> tuple[fmpq, fmpq]:
    """E Σ_{j != i} <x_i, x_j>² = (N - 1)/n for random vectors of any kind here, and the least that any N unit vectors have on average.

    The least is max(N/n - 1, 0), from the frame bound Σ_ij <x_i, x_j>² >= N²/n (Welch 1974). Grade EXACT. n, count >= 1. Raises InputError.

    >>> mean_square_interference(512, 10**6)
    (999999/512, 15617/8)
    """
    n, count = whole("n", n, 1), whole("count", count, 1)
    return fmpq(count - 1, n), max(fmpq(count, n) - 1, fmpq(0))


def _sums_at_least(m: int, longest: int) -> list[fmpz]:
    """For j = 0 .. longest the number of sign patterns of length j with sum at least m, m >= 1.

    One more sign: A_{j+1} = 2 A_j + #(sum m - 1) - #(sum m), of which the parity of j leaves one.
    """
    counts = [fmpz(0)] * min(m, longest + 1)
    patterns, i = fmpz(1), m - 1  # C(j, i), i the number of plus signs on the edge
    for j in range(m - 1, longest):
        edge_below = (j - m) % 2
        counts.append(2 * counts[-1] + (patterns if edge_below else -patterns))
        patterns = patterns * (j + 1) // (i + 1 if edge_below else j + 1 - i)
        i += edge_below
    return counts


def least(law: AngleLaw, q: fmpq, between: Callable[[fmpq], tuple[arb | fmpq, arb | fmpq]]) -> arb:
    """A ball with the least c whose probability, which rises with c and lies `between` two numbers, reaches q."""
    scale = GRID if law.weight is None else law.weight

    def first(end: int) -> int:
        # Undecided comparisons of balls are false: the sure end then moves up, the possible end down.
        low, high = -1, scale
        while high - low > 1:
            middle = (low + high) // 2
            bound = between(fmpq(middle, scale))[end]
            target = arb(q) if isinstance(bound, arb) else q
            reached = bound >= target if end == 0 else not bound < target
            low, high = (low, middle) if reached else (middle, high)
        return high

    with ctx.workprec(BITS):
        # In the continuous law the least c lies in the last step of the grid, in the others on it.
        step = int(law.weight is None)
        return arb(fmpq(max(first(1) - step, 0), scale)).union(arb(fmpq(first(0), scale)))


def _checked(cosine: Cosine) -> fmpq | arb:
    if isinstance(cosine, arb):
        if not (cosine >= 0 and cosine <= 1):
            raise InputError(f"cosine must be from 0 to 1, got {cosine}")
        return cosine
    return _rational("cosine", cosine, 1)


def _floor(c: fmpq | arb, s: int) -> int:
    """The largest integer <= c s."""
    if isinstance(c, fmpq):
        return int((c * s).floor())
    floor = (c * s).floor().unique_fmpz()
    if floor is None:
        raise InputError(f"the ball {c} does not settle which of the {s} steps it lies in; give more digits")
    return int(floor)


def _sine(degrees: Rational) -> fmpq | arb:
    """sin of degrees, exact where it is rational (0, 30, 90), so that a closed end is settled."""
    d = _rational("degrees", degrees, 90)
    for angle, sine in ((0, fmpq(0)), (30, fmpq(1, 2)), (90, fmpq(1))):
        if d == angle:
            return sine
    return arb.sin_pi_fmpq(d / 180)


def probability_of(value: Rational) -> fmpq:
    """A probability strictly between 0 and 1 as a rational; InputError."""
    q = _rational("probability", value, 1)
    if not 0 < q < 1:
        raise InputError(f"probability must be between 0 and 1, got {value!r}; at the ends any angle would do, or none")
    return q


def _rational(name: str, value: Rational, top: int) -> fmpq:
    try:
        q = value if isinstance(value, fmpq) else fmpq(*Fraction(value).as_integer_ratio())
    except (TypeError, ValueError, OverflowError):
        q = fmpq(-1)
    if not 0 <= q <= top:
        raise InputError(f"{name} must be a number from 0 to {top}, got {value!r}")
    return q
