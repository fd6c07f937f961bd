"""Prime powers and orders of Hadamard matrices below a limit, by sieves."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy import ndarray

    Integers = ndarray[Any, np.dtype[np.int64]]


@lru_cache(maxsize=4)
def primes(limit: int) -> Integers:
    """All primes <= limit, by the sieve of Eratosthenes over odd numbers.

    >>> primes(30).tolist()
    [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    """
    if limit < 2:
        return np.zeros(0, np.int64)
    # odd[i] says whether 2 i + 1 is prime; index 0 stands for 2.
    odd = np.ones((limit + 1) // 2, np.bool_)
    for i in range(1, (isqrt(limit) + 1) // 2):
        if odd[i]:
            odd[2 * i * (i + 1) :: 2 * i + 1] = False
    found = 2 * np.flatnonzero(odd).astype(np.int64) + 1
    found[0] = 2
    found.flags.writeable = False
    return found


@lru_cache(maxsize=4)
def odd_prime_powers(limit: int) -> tuple[Integers, Integers]:
    """All odd prime powers q = p^k <= limit, increasing, and their primes p.

    >>> powers, bases = odd_prime_powers(30)
    >>> powers.tolist()
    [3, 5, 7, 9, 11, 13, 17, 19, 23, 25, 27, 29]
    >>> bases[[3, 10]].tolist()
    [3, 3]
    """
    odd = primes(limit)[1:]
    bases = odd[: np.searchsorted(odd, isqrt(max(limit, 0)), side="right")]
    power, powers, roots = bases * bases, [odd[:0]], [odd[:0]]
    while len(bases):
        powers.append(power)
        roots.append(bases)
        bases = bases[power <= limit // bases]
        power = power[: len(bases)] * bases
    few = np.concatenate(powers)
    order = np.argsort(few)
    few, root = few[order], np.concatenate(roots)[order]
    at = np.searchsorted(odd, few)
    q, p = np.insert(odd, at, few), np.insert(odd, at, root)
    q.flags.writeable = p.flags.writeable = False
    return q, p


@lru_cache(maxsize=4)
def hadamard_orders(limit: int) -> tuple[int, ...]:
    """Orders <= limit of the Hadamard matrices of Sylvester and Paley and of their Kronecker products, increasing.

    Orders 1, 2, q + 1 (q = 3 mod 4) and 2 (q + 1) (q = 1 mod 4), q a prime power, and products (Paley 1933). 92 is the first multiple
    of four that is missing.

    >>> hadamard_orders(48)
    (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48)
    >>> 92 in hadamard_orders(100)
    False
    """
    q = odd_prime_powers(limit)[0]
    basic = np.concatenate([q[q % 4 == 3] + 1, 2 * (q[q % 4 == 1] + 1)])
    known = np.zeros(limit + 1, np.bool_)
    known[[order for order in (1, 2) if order <= limit]] = True
    known[basic[basic <= limit]] = True
    # Smaller orders are complete when their multiples are marked, so one pass marks all products.
    for order in range(2, limit // 2 + 1):
        if known[order]:
            multiples = np.flatnonzero(known[: limit // order + 1])
            known[order * multiples] = True
    return tuple(np.flatnonzero(known).tolist())
