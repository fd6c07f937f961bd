"""Grade of evidence: how a number is known."""

from enum import IntEnum


class Grade(IntEnum):
    """How a result is known, ordered: a larger grade is stronger evidence.

    EXACT      symbolic or rational arithmetic, no rounding anywhere
    ENCLOSED   ball or interval arithmetic: the true value lies in the stated interval
    CERTIFIED  one-sided, with a certificate that exact arithmetic verifies
    NUMERIC    floating point, no guarantee
    SAMPLED    an estimate with a standard error

    A result composed of parts has the lowest grade of its parts.

    >>> min(Grade.EXACT, Grade.NUMERIC).name
    'NUMERIC'
    """

    SAMPLED = 1
    NUMERIC = 2
    CERTIFIED = 3
    ENCLOSED = 4
    EXACT = 5
