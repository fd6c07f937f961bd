"""Sign of a polynomial with rational coefficients on an interval, in exact arithmetic."""

from __future__ import annotations

from flint import fmpq, fmpq_poly, fmpz_poly


def nonpositive(polynomial: fmpq_poly, low: fmpq, high: fmpq) -> bool:
    """Whether polynomial <= 0 on [low, high], by Descartes' rule of signs and bisection (Vincent, Collins, Akritas); exact.

    If no coefficient of (1 + y)^d q(1/(1 + y)) is positive, q <= 0 on [0, 1]. Otherwise the interval is halved. True is proved; False may
    also mean an inner zero of even order, which no bisection settles.

    >>> t = fmpq_poly([0, 1])
    >>> nonpositive(t**2 - fmpq(1, 4), fmpq(-1, 2), fmpq(1, 2)), nonpositive(t**2 - fmpq(1, 4), fmpq(-1, 2), fmpq(3, 5))
    (True, False)
    """
    q = polynomial(fmpq_poly([low, high - low])).numer()  # q(u) on [0, 1], times a positive integer
    degree, step = max(q.degree(), 0), fmpz_poly([1, 1])
    stack = [(q, 0)]
    while stack:
        q, depth = stack.pop()
        padded = [q[k] for k in range(degree + 1)]
        if all(c <= 0 for c in fmpz_poly(padded[::-1])(step)):
            continue
        # Two points further apart than 2^-100 of the interval separate any zeros that a polynomial from floats has.
        if q[0] > 0 or sum(padded) > 0 or depth == 100:
            return False
        left = fmpz_poly([c * 2 ** (degree - k) for k, c in enumerate(padded)])  # 2^d q(u/2)
        stack += [(left, depth + 1), (left(step), depth + 1)]
    return True
