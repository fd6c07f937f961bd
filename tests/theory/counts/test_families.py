"""Families: every member against the check's own formulas, against an enumeration, and against vectors written out."""

from __future__ import annotations

from itertools import pairwise, product
from math import isqrt

import numpy as np
import pytest
import sympy
from flint import fmpq

from tegum.theory._checks import CertificateError
from tegum.theory.counts._angle import angle
from tegum.theory.counts._families import complement, frames, members, net, parts
from tegum.theory.counts._family_check import family, hadamard_order
from tegum.theory.counts._primes import hadamard_orders, odd_prime_powers, primes
from tegum.theory.counts._random_coding import covering_count

ONE = angle(None, 1)
ANGLES = (
    (fmpq(1, 5), fmpq(1, 25)),
    (fmpq(1, 3), fmpq(1, 9)),
    (fmpq(1, 2), fmpq(1, 4)),
    (fmpq(866, 1000), fmpq(3, 4)),
    (fmpq(447, 1000), fmpq(1, 5)),
    (fmpq(1, 20), fmpq(1, 400)),
    (ONE.below, ONE.square_below),
)


def test_sieves() -> None:
    assert primes(1000).tolist() == list(sympy.primerange(1001))
    q, p = odd_prime_powers(3000)
    factored = [(n, sympy.factorint(n)) for n in range(3, 3001, 2)]
    assert list(zip(q.tolist(), p.tolist(), strict=True)) == [(n, *f) for n, f in factored if len(f) == 1]
    assert primes(1).tolist() == []
    assert primes(2).tolist() == [2]
    assert odd_prime_powers(2)[0].tolist() == []


def test_hadamard_orders_are_those_of_the_check() -> None:
    orders = hadamard_orders(1200)
    assert list(orders) == [order for order in range(1, 1201) if hadamard_order(order)]
    missing = [order for order in range(4, 400, 4) if order not in orders]
    # Orders known from other constructions only, beginning with 92 (Baumert, Golomb and Hall 1962); 388 and below.
    assert missing[:6] == [92, 116, 156, 172, 184, 188]


@pytest.mark.parametrize(("cosine", "square"), ANGLES)
def test_members_are_what_the_check_says(cosine: fmpq, square: fmpq) -> None:
    found = parts(3000, cosine, square)
    assert found
    assert all(a.n < b.n and a.count - a.n < b.count - b.n for a, b in pairwise(found))
    for part in found:
        member = family(part.proof, square)
        assert (member.n, member.count) == (part.n, part.count)
        assert member.square <= square


@pytest.mark.parametrize(("cosine", "square"), ANGLES)
def test_every_family_is_of_one_kind_and_right(cosine: fmpq, square: fmpq) -> None:
    for kind in members(1500, cosine, square):
        assert len({kind.frame(i).proof["family"] for i in range(len(kind.n))}) == 1
        for i in range(0, len(kind.n), 1 + len(kind.n) // 40):
            frame = kind.frame(i)
            member = family(frame.proof, square)
            assert (frame.n, frame.count) == (member.n, member.count) == (kind.n[i], frame.count)
            assert float(frame.count - frame.n) == pytest.approx(kind.excess[i], rel=1e-12)
            assert member.square <= frame.square <= square


def enumeration(n_max: int) -> list[dict]:
    """Parameters of all families in small ranges, right or wrong: the check sorts them out."""
    found = [{"family": "simplex", "n": n} for n in range(2, n_max + 1)]
    found += [{"family": "polygon", "count": k} for k in range(3, 9)]
    found += [{"family": "conference", "q": q} for q in range(5, 2 * n_max)]
    found += [{"family": "steiner", "k": k, "v": v} for k in (2, 3) for v in range(4, 50)]
    found += [{"family": "symplectic", "m": m, "sign": s} for m in range(2, 5) for s in (1, -1)]
    found += [{"family": "quadratic", "m": m, "d": d} for m in range(2, 7) for d in range(1, 4)]
    found += [{"family": "bch", "m": m, "t": t} for m in range(2, 7) for t in range(2, 6)]
    found += [{"family": "chirp", "q": q, "degree": d} for q in range(3, n_max) for d in range(2, 6)]
    found += [{"family": "devore", "p": p, "r": r} for p in range(2, 9) for r in range(1, 8)]
    found += [
        {"family": "net", "q": q, "k": k, "places": r, "order": h}
        for q in range(2, 12)
        for k in (2, 3, 4)
        for r in range(2, 13)
        for h in (r, r + 1)
    ]
    found += [{"family": "lattice", "name": name} for name in ("E6", "E7", "E8", "Leech")]
    found += [{"family": "lattice", "name": "D", "n": n} for n in range(4, 25)]
    found += [{"family": "lattice", "name": "Lambda", "n": n} for n in range(9, 24)]
    found += [
        {"family": "named", "name": name, "n": n} for name in ("thirds", "quarters", "fifths") for n in range(11, 24)
    ]
    found += [
        {"family": "puncture", "of": of, "drop": j} for of in found if of["family"] == "quadratic" for j in range(1, 20)
    ]
    tight = ("steiner", "symplectic", "quadratic", "net", "conference")
    return found + [{"family": "naimark", "of": of} for of in found if of["family"] in tight]


@pytest.mark.parametrize(("cosine", "square"), ANGLES[:5])
def test_no_member_is_forgotten(cosine: fmpq, square: fmpq) -> None:
    n_max, beaten, attained = 60, 0, 0
    found = parts(n_max, cosine, square)
    for proof in enumeration(n_max):
        try:
            member = family(proof, square)
        except CertificateError:
            continue
        if member.n > n_max or member.square > square or member.count <= member.n:
            continue
        best = max((p.count - p.n for p in found if p.n <= member.n), default=0)
        assert member.count - member.n <= max(best, covering_count(member.n, square) - member.n), proof
        beaten += 1
        attained += member.count - member.n == best
    # Not one more of any member would pass.
    assert beaten > 3
    assert attained


def test_sizes_are_the_least() -> None:
    """One vector less in any group, and two groups are too close."""
    tried = 0
    for cosine, square in ANGLES:
        for part in parts(800, cosine, square):
            if part.proof["family"] != "inflated":
                continue
            for k, (size, groups) in enumerate(part.proof["sizes"]):
                if size == 1:
                    continue
                # The last group is at least as small as the others, so a smaller one must not fit.
                sizes = [list(s) for s in part.proof["sizes"]]
                sizes[k] = [size, groups - 1]
                smaller = {**part.proof, "sizes": [s for s in [*sizes, [size - 1, 1]] if s[1]]}
                if len(part.proof["sizes"]) == 2 and k == 0:
                    continue
                tried += 1
                with pytest.raises(CertificateError, match="too close"):
                    family(smaller, square)
    assert tried > 50


def test_sizes_at_an_angle_that_fits_exactly() -> None:
    """c = 1/67: three groups of 34 about one vector, r² = c; nothing less for smaller c."""
    exact = parts(100, fmpq(1, 67), fmpq(1, 67**2))
    assert (exact[-1].n, exact[-1].count, exact[-1].proof["sizes"]) == (100, 102, [[34, 3]])
    below = fmpq(1, 67) - fmpq(1, 10**30)
    assert all(part.count - part.n < 2 for part in parts(100, below, below * below))


def gram_of(part: dict, base: np.ndarray) -> np.ndarray:
    """Gram matrix of an inflated frame, from the Gram matrix of its base."""
    c = float(fmpq(part["cosine"]).p) / float(fmpq(part["cosine"]).q)
    sizes = [size for size, groups in part["sizes"] for _ in range(groups)]
    group = np.repeat(np.arange(len(sizes)), sizes)
    r2 = np.array([max((1 - (m - 1) * c) / m, 0) for m in sizes])
    r = np.sqrt(r2)
    gram = base[np.ix_(group, group)] * np.outer(r[group], r[group])
    same = group[:, None] == group[None, :]
    m = np.array(sizes)[group]
    simplex = np.where(np.eye(len(group), dtype=bool), 1.0, -1 / np.maximum(m - 1, 1)[:, None])
    return np.where(same, r2[group][:, None] + (1 - r2[group])[:, None] * simplex, gram)


def conference_gram(q: int) -> np.ndarray:
    """I + C/√q, C Paley's conference matrix, q prime."""
    squares = {x * x % q for x in range(1, q)}
    symbol = [0, *(1 if x in squares else -1 for x in range(1, q))]
    core = np.array([[symbol[(i - j) % q] for j in range(q)] for i in range(q)])
    c = np.block([[np.zeros((1, 1)), np.ones((1, q))], [np.ones((q, 1)), core]])
    return np.eye(q + 1) + c / np.sqrt(q)


@pytest.mark.parametrize("n", [110, 206, 320])
def test_inflated_vectors(n: int) -> None:
    """The Gram matrix is positive semidefinite of rank n with the angles stated."""
    cosine, square = ANGLES[5]
    found = [
        p
        for p in parts(n, cosine, square)
        if p.proof["family"] == "inflated"
        and p.proof["base"]["family"] == "conference"
        and sympy.isprime(p.proof["base"]["q"])
    ]
    assert found
    for part in found[-3:]:
        gram = gram_of(part.proof, conference_gram(part.proof["base"]["q"]))
        assert len(gram) == part.count
        eigenvalues = np.linalg.eigvalsh(gram)
        assert eigenvalues[0] > -1e-9
        assert (eigenvalues > 1e-9).sum() <= part.n
        assert np.allclose(np.diag(gram), 1)
        assert np.abs(gram - np.eye(part.count)).max() <= 1 / 20 + 1e-12


HADAMARD4 = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])


@pytest.mark.parametrize(
    ("q", "k", "places", "order"), [(3, 2, 4, 4), (3, 2, 3, 4), (5, 2, 4, 4), (5, 3, 4, 4), (7, 2, 3, 4)]
)
def test_net_vectors(q: int, k: int, places: int, order: int) -> None:
    """All vectors of a net over a prime field: products, and the tight frame that its complement needs."""
    frame = net(q, k, places, order)
    signs = HADAMARD4[:, :places]
    vectors = []
    for coefficients in product(range(q), repeat=k):
        word = [sum(a * x**i for i, a in enumerate(coefficients)) % q for x in range(min(places, q))]
        word += [coefficients[-1]] * (places - q)
        for row in signs:
            vector = np.zeros((places, q), int)
            vector[np.arange(places), word] = row
            vectors.append(vector.ravel())
    rows = np.array(vectors)
    assert rows.shape == (frame.count, frame.n)
    gram = rows @ rows.T
    assert fmpq(int(np.abs(gram - places * np.eye(len(rows), dtype=int)).max()) ** 2, places**2) == frame.square
    assert (rows.T @ rows == np.eye(frame.n, dtype=int) * (frame.count * places // frame.n)).all()


def test_complement_vectors() -> None:
    """Complement of bases 2 and 3 of the Kerdock set of R^4, and of a net: rank and coherence."""
    signs = HADAMARD4 * np.array([1, 1, 1, -1])
    bases = [np.eye(4), HADAMARD4 / 2, signs / 2]
    for count in (2, 3):
        rows = np.concatenate(bases[:count])
        proof = {"family": "quadratic", "m": 2, "d": 1, "bases": count}
        whole = family(proof, fmpq(1))
        dual = family({"family": "naimark", "of": proof}, fmpq(1))
        gram = (np.eye(4 * count) - rows @ rows.T / count) * count / (count - 1)
        assert (whole.n, whole.count) == rows.shape[::-1]
        assert np.linalg.matrix_rank(gram) == dual.n == 4 * count - 4
        assert np.abs(gram - np.eye(len(gram))).max() ** 2 == pytest.approx(float(dual.square.p) / float(dual.square.q))


def test_complements_agree_with_the_check() -> None:
    for frame in frames(300):
        if frame.proof["family"] in ("steiner", "symplectic") and frame.count > frame.n:
            dual, member = complement(frame), family({"family": "naimark", "of": frame.proof}, fmpq(1))
            assert (dual.n, dual.count, dual.square) == (member.n, member.count, member.square)
            # Equiangular tight frames meet Welch's bound, and so do their complements.
            assert dual.square == fmpq(dual.count - dual.n, dual.n * (dual.count - 1))


def test_simplex_and_polygon_at_exact_angles() -> None:
    assert [(p.n, p.count) for p in parts(2, fmpq(1, 2), fmpq(1, 4))] == [(2, 3)]
    assert [(p.n, p.count) for p in parts(2, fmpq(86, 100), fmpq(3, 4))] == [(2, 6)]
    assert [(p.n, p.count) for p in parts(2, fmpq(86, 100), fmpq(3, 4) - fmpq(1, 10**40))] == [(2, 5)]
    for n in (2, 7, 57, 1000):
        square = fmpq(1, n * n)
        assert parts(n, fmpq(1, n), square)[0].proof == (
            {"family": "simplex", "n": n} if n > 2 else {"family": "lattice", "name": "A", "n": 2}
        )
        below = square - fmpq(1, 10**40)
        assert not parts(n, fmpq(isqrt(10**60 // n**2) - 1, 10**30), below)
