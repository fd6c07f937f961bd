"""Upper bounds on the number of lines and of vectors at given angles: every theorem, as entries of the race.

Everything but linear and semidefinite programming. Each bound proves its assumptions before it gives a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._checks import InputError, whole
from ._classical import bukh_cox, circle_code, circle_lines, orthoplex, power, rank, rankin, relative
from ._gegenbauer import STEPS, floor_of
from ._levenshtein import code_values, line_values
from ._record import Bound

if TYPE_CHECKING:
    from flint import arb, fmpq

SILENT = "needs n >= 2"


def upper_bounds(n: int, square: fmpq) -> tuple[Bound, ...]:
    """Upper bounds on the number of unit vectors in R^n with <x, y>² <= square for any two: one record per theorem.

    n >= 1, 0 < square < 1 rational; where the theorem does not apply the value is None, and the note says why. The least value never
    falls when n or square grows. Milliseconds for any n up to 10^7. Raises InputError for n or square out of range.
    Grade CERTIFIED: exact or ball arithmetic throughout; `proof` is what `check_count` verifies.

    At most 102 vectors in R^100 at 89 to 91 degrees, by Bukh and Cox (1/57 is a little more than the cosine of 89 degrees):

    >>> from flint import fmpq
    >>> bounds = upper_bounds(100, fmpq(1, 57**2))
    >>> min((b.value, b.name) for b in bounds if b.value is not None)
    (102, 'Bukh-Cox')
    """
    whole("n", n, 1)
    if not 0 < square < 1:
        raise InputError(f"square must be the square of a cosine, above 0 and below 1, got {square}")
    bounds = [
        _bound("one dimension", 1 if n == 1 else None, "needs n = 1", "elementary", {"by": "line"}),
        _bound("circle", circle_lines(square) if n == 2 else None, "needs n = 2", "elementary", {"by": "circle"}),
        _bound(
            "relative",
            relative(n, square),
            "needs n >= 2 and n c² < 1",
            "van Lint and Seidel 1966; Welch 1974",
            {"by": "nodes", "end": 0, "nodes": []},
        ),
        _order("Sidelnikov-Welch", power(n, square), "power", "order", "Sidelnikov 1974; Welch 1974"),
        _bound(
            "Gerzon", None, f"needs equal angles; would be n(n+1)/2 = {n * (n + 1) // 2}", "Lemmens and Seidel 1973", {}
        ),
        _bound(
            "orthoplex", orthoplex(n, square), "needs n c² < 1", "Conway, Hardin and Sloane 1996", {"by": "orthoplex"}
        ),
        _levenshtein(line_values(n, square) if n > 1 else {}, n, "Levenshtein 1992"),
        _order("Bukh-Cox", bukh_cox(n, square), "Bukh-Cox", "excess", "Bukh and Cox 2018"),
        _order("Alon rank", rank(n, square), "rank", "order", "Alon 2009"),
    ]
    return tuple(bounds)


def code_upper_bounds(n: int, cosine: fmpq) -> tuple[Bound, ...]:
    """Upper bounds on the number of unit vectors in R^n with <x, y> <= cosine for any two: one record per theorem.

    n >= 1, -1 <= cosine < 1 rational; otherwise as `upper_bounds`.

    Kissing number of the Leech lattice:

    >>> from flint import fmpq
    >>> [(b.name, b.value, b.note) for b in code_upper_bounds(24, fmpq(1, 2)) if b.value is not None]
    [('Levenshtein', 196560, 'degree 11')]
    """
    whole("n", n, 1)
    if not -1 <= cosine < 1:
        raise InputError(f"cosine must be at least -1 and below 1, got {cosine}")
    return (
        _bound("one dimension", 2 if n == 1 else None, "needs n = 1", "elementary", {"by": "line"}),
        _bound("circle", circle_code(cosine) if n == 2 else None, "needs n = 2", "elementary", {"by": "circle"}),
        _bound("Rankin", rankin(n, cosine), "needs a cosine of at most 0", "Rankin 1955", {"by": "Rankin"}),
        _levenshtein(code_values(n, cosine) if n > 1 else {}, n, "Levenshtein 1979"),
    )


def _bound(name: str, value: int | None, silent: str, source: str, proof: dict[str, Any], note: str = "") -> Bound:
    return (
        Bound(name, "upper", value, silent, source)
        if value is None
        else Bound(name, "upper", value, note, source, proof)
    )


def _order(name: str, found: tuple[int, int] | None, by: str, parameter: str, source: str) -> Bound:
    k, value = found if found else (0, None)
    return _bound(
        name, value, "excludes no number of vectors here", source, {"by": by, parameter: k}, f"{parameter} {k}"
    )


def _levenshtein(values: dict[int, arb], n: int, source: str) -> Bound:
    silent = f"its polynomials would need more than {STEPS} steps" if n > 1 else SILENT
    floors = {degree: floor_of(ball) for degree, ball in values.items()}
    degree = min(floors, key=floors.__getitem__, default=0)
    return _bound(
        "Levenshtein", floors.get(degree), silent, source, {"by": "Levenshtein", "degree": degree}, f"degree {degree}"
    )
