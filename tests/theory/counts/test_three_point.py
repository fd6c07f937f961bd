"""Three-point bounds: what they give, that certificates with a number changed fail, and the theorem itself on sets that are known."""

from __future__ import annotations

import copy
import json
from itertools import permutations

import numpy as np
import pytest
from flint import fmpq, fmpq_poly
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_chebyt, eval_gegenbauer

from tegum.theory import CertificateError, InputError
from tegum.theory.counts._delsarte import delsarte_bound
from tegum.theory.counts._sign import nonpositive
from tegum.theory.counts._three_point import three_point_bound
from tegum.theory.counts._three_point_check import RING, check_three_point, expand, gegenbauer, quadratic, squares


@pytest.fixture(scope="module")
def small():
    """Codes on the sphere with cosines of at most 1/5: Delsarte gives 7."""
    return three_point_bound(3, fmpq(1, 5), degree=5)


@pytest.fixture(scope="module")
def thirteen():
    """The thirteen spheres: Delsarte gives 13."""
    return three_point_bound(3, fmpq(1, 2), degree=6)


def values(n, degree, u, v, t):
    """Q_k(u, v, t), k = 0 .. degree, at points, by another library's Gegenbauer polynomials."""
    w = np.sqrt((1 - u**2) * (1 - v**2))
    x = (t - u * v) / w
    if n == 3:
        return np.array([w**k * eval_chebyt(k, x) for k in range(degree + 1)])
    a = (n - 3) / 2
    return np.array([w**k * eval_gegenbauer(k, a, x) / eval_gegenbauer(k, a, 1.0) for k in range(degree + 1)])


def sphere(n, count, seed):
    x = np.random.default_rng(seed).normal(size=(count, n))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def icosahedron():
    g = (1 + 5**0.5) / 2
    rows = [np.roll((0, a, b * g), k) for k in range(3) for a in (-1, 1) for b in (-1, 1)]
    return np.array(rows) / np.hypot(1, g)


def roots_d(n):
    rows = []
    for i in range(n):
        for j in range(i):
            for a in (-1, 1):
                for b in (-1, 1):
                    rows.append(np.eye(n)[i] * a + np.eye(n)[j] * b)
    return np.array(rows) / 2**0.5


def symmetric(entries):
    m = int((2 * len(entries)) ** 0.5)
    g = np.zeros((m, m))
    g[np.tril_indices(m)] = [float(int(x)) for x in entries]
    return g + g.T - np.diag(g.diagonal())


def evaluate(polynomial, *at):
    return float(polynomial(*(fmpq(*float(x).as_integer_ratio()) for x in at)))


# --- what the theorem rests on ---


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_matrices_of_the_theorem_are_positive_semidefinite(n):
    x = sphere(n, 40, n)
    z = sphere(n, 1, 99)[0]
    gram, u = x @ x.T, x @ z
    off = ~np.eye(40, dtype=bool)
    q = values(n, 6, *(np.broadcast_to(m, (40, 40))[off] for m in (u[:, None], u[None], gram)))
    polynomials = gegenbauer(n - 1, 6, RING.gens()[2] - RING.gens()[0] * RING.gens()[1], weight())
    for k in range(7):
        matrix = np.diag((1 - u**2) ** k)
        matrix[off] = q[k]
        assert np.linalg.eigvalsh(matrix)[0] > -1e-12
        assert evaluate(polynomials[k], u[0], u[1], gram[0, 1]) == pytest.approx(matrix[0, 1], abs=1e-12)
    # The polynomials of the next larger sphere, which would be wrong, are not positive semidefinite.
    wrong = np.diag((1 - u**2) ** 2)
    wrong[off] = values(
        n - 1 if n > 3 else 8, 2, *(np.broadcast_to(m, (40, 40))[off] for m in (u[:, None], u[None], gram))
    )[2]
    assert (np.linalg.eigvalsh(wrong)[0] < -1e-3) == (n > 3)


def weight():
    u, v, _ = RING.gens()
    return (1 - u**2) * (1 - v**2)


def test_values_at_one():
    # Q_k(1, u, u) = Q_k(1, 1, 1) = 0 for k >= 1: the check takes W from f(1).
    u, v, t = RING.gens()
    one = RING.constant(1)
    for q in gegenbauer(4, 5, t - u * v, weight())[1:]:
        assert q.compose(one, u, u) == 0
        assert q.compose(one, one, one) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.fractions(-1, 1).filter(lambda s: -1 < s < 1))
def test_factors_are_positive_where_three_vectors_may_be(seed, s):
    x = sphere(3, 3, seed)
    u, v, t = x[0] @ x[1], x[0] @ x[2], x[1] @ x[2]
    if max(u, v, t) > s:
        return
    for factor, basis in squares(3, fmpq(s.numerator, s.denominator)):
        assert evaluate(factor, u, v, t) >= -1e-12
        assert all(factor.compose(*(RING.gens()[i] for i in order)) == factor for order in permutations(range(3)))
        assert 2 * max(b.total_degree() for b in basis) + factor.total_degree() <= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "n", "cosine"),
    [(icosahedron(), 3, fmpq(1, 2)), (sphere(3, 4, 7)[:2], 3, fmpq(1, 2)), (roots_d(3), 3, fmpq(1, 2))],
)
def test_every_step_of_the_proof_on_a_code(thirteen, code, n, cosine):
    """A dozen vectors and fewer against the certificate that there are no more than 12."""
    proof = thirteen.proof
    degree, unit = proof["degree"], 2.0**64
    a = np.array([float(int(x)) for x in proof["a"]]) / unit
    forms = [symmetric(m) / unit for m in proof["forms"]]
    loss, total = (float(fmpq(proof[key])) / unit for key in ("loss", "total"))
    gram, count = code @ code.T, len(code)
    off = ~np.eye(count, dtype=bool)
    assert gram[off].max() < 0.5 + 1e-9 or count == 2

    def kernel(u, v, t):
        u, v, t = (np.clip(x, -1 + 1e-13, 1 - 1e-13) for x in (u, v, t))
        q = values(n, degree, u, v, t)
        terms = (
            q[k] * np.einsum("i...,ij,j...->...", powers(u, len(f)), f, powers(v, len(f))) for k, f in enumerate(forms)
        )
        return sum(terms)

    def powers(x, size):
        return np.array([x**i for i in range(size)])

    u, v, t = (np.broadcast_to(m, (count,) * 3) for m in (gram[:, None, :], gram[None, :, :], gram[:, :, None]))
    every = kernel(u, v, t)
    assert every.sum(axis=(0, 1)).min() > -1e-6
    different = off[:, :, None] & off[:, None, :] & off[None, :, :]
    mean = sum(kernel(*order) for order in permutations((u, v, t))) / 6
    assert not different.any() or mean[different].max() < -loss + 1e-6
    family = np.array(
        [eval_gegenbauer(k, (n - 2) / 2, gram) for k in range(2 * degree + 1)]
    )  # Legendre: 1 at 1 for n = 3
    ones = np.ones_like(gram)
    f = np.tensordot(a, family, axes=1) + kernel(gram, gram, ones) + 2 * kernel(gram, ones, gram)
    assert f[off].max() < 1e-5
    assert a[0] * count + loss * (count - 1) * (count - 2) <= total + 1e-6


# --- what comes out ---


def test_better_than_linear_programming(small):
    assert delsarte_bound(3, fmpq(1, 5), lines=False).value == 7
    assert small.value == 6  # the octahedron; 7 points have a cosine of at least 0.2102
    assert check_three_point(small.proof, 3, fmpq(1, 5)) == 6


@pytest.mark.slow
def test_thirteen_spheres(thirteen):
    assert delsarte_bound(3, fmpq(1, 2), lines=False).value == 13
    assert thirteen.value == 12
    assert thirteen.side == "upper"
    assert "12.70" in thirteen.note
    assert check_three_point(json.loads(json.dumps(thirteen.proof)), 3, fmpq(1, 2)) == 12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "cosine", "linear", "value"),
    [
        (3, fmpq(1, 4), 8, 7),  # exact: 8 points have a cosine of at least 0.2613
        (4, fmpq(1, 10), 9, 8),
        (4, fmpq(9, 20), 22, 21),
        (6, fmpq(3, 10), 32, 31),
        (5, fmpq(1, 5), 16, 16),  # attained
    ],
)
def test_other_angles(n, cosine, linear, value):
    bound = three_point_bound(n, cosine, degree=5)
    assert delsarte_bound(n, cosine, lines=False).value == linear
    assert bound.value == value
    assert check_three_point(bound.proof, n, cosine) == value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "size", "cosine"),
    # Largest cosines of codes that exist: no bound may be below their size.
    [(3, 7, 0.21014), (3, 9, 0.33334), (3, 10, 0.40440), (4, 14, 0.31952), (5, 13, 0.18726), (6, 20, 0.21429)],
)
def test_codes_that_exist(n, size, cosine):
    s = fmpq(round(cosine * 100000), 100000) + fmpq(1, 100000)
    bound = three_point_bound(n, s, degree=5)
    assert size <= bound.value <= delsarte_bound(n, s, lines=False).value


def test_where_nothing_is_found():
    bound = three_point_bound(3, fmpq(9, 10), degree=2)
    assert (bound.value, bound.proof) == (None, {})
    assert bound.note == "no certificate of degree 2 found"


@pytest.mark.parametrize(
    ("n", "cosine", "degree", "match"),
    [
        (2, fmpq(1, 2), 6, "n must be an integer >= 3, got 2"),
        (3, fmpq(1), 6, "cosine must be between -1 and 1, got 1"),
        (3, fmpq(1, 2), 1, "degree must be an integer >= 2, got 1"),
        (3, fmpq(1, 2), 10, "degree must be at most 9, got 10"),
    ],
)
def test_bad_input(n, cosine, degree, match):
    with pytest.raises(InputError, match=match):
        three_point_bound(n, cosine, degree=degree)


# --- what must not pass ---


def test_the_proof_is_of_one_angle_and_one_dimension(small):
    for n, cosine in ((3, fmpq(21, 100)), (3, fmpq(1, 2)), (4, fmpq(1, 5)), (2, fmpq(1, 5)), (3, fmpq(1))):
        with pytest.raises(CertificateError):
            check_three_point(small.proof, n, cosine)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_no_number_can_be_changed(small, data):
    proof = copy.deepcopy(small.proof)
    key = data.draw(st.sampled_from(["a", "forms", "squares", "loss", "total", "count", "degree"]))
    change = data.draw(st.sampled_from([1, -1, 2**30, -(2**30), 2**64, -(2**64)]))
    if key in ("forms", "squares"):
        matrix = proof[key][data.draw(st.integers(0, len(proof[key]) - 1))]
        matrix[i] = str(int(matrix[i := data.draw(st.integers(0, len(matrix) - 1))]) + change)
    elif key == "a":
        i = data.draw(st.integers(0, len(proof["a"]) - 1))
        proof["a"][i] = str(int(proof["a"][i]) + change)
    else:
        proof[key] = str(fmpq(proof[key]) + change)
    with pytest.raises(CertificateError):
        check_three_point(proof, 3, fmpq(1, 5))


@pytest.mark.parametrize("key", ["a", "forms", "squares", "loss", "total", "count", "degree"])
def test_nothing_may_be_missing(small, key):
    proof = {k: v for k, v in small.proof.items() if k != key}
    with pytest.raises(CertificateError, match="lacks numbers"):
        check_three_point(proof, 3, fmpq(1, 5))
    proof[key] = ["x"]
    with pytest.raises(CertificateError):
        check_three_point(proof, 3, fmpq(1, 5))
    if isinstance(small.proof[key], list):
        with pytest.raises(CertificateError):
            check_three_point({**proof, key: small.proof[key][:-1]}, 3, fmpq(1, 5))


def restated(proof, n, cosine, count):
    """`proof` with loss and total as they follow from its matrices, and another count."""
    a, forms, sums = (
        [int(x) for x in proof["a"]],
        *([[int(x) for x in m] for m in proof[k]] for k in ("forms", "squares")),
    )
    orders, pairs = expand(n, cosine, proof["degree"], a, forms, sums)
    constant = orders.pop((0, 0, 0))
    loss = -constant - sum((abs(c) for c in orders.values()), fmpq(0))
    return {**proof, "loss": str(loss), "total": str((pairs(1) + 2 * sum(a)) / 3), "count": count}


def test_a_forged_smaller_bound(small):
    cosine = fmpq(1, 5)
    assert check_three_point(restated(small.proof, 3, cosine, 6), 3, cosine) == 6
    with pytest.raises(CertificateError, match="not 5"):
        check_three_point(restated(small.proof, 3, cosine, 5), 3, cosine)
    # A larger a_0 would lower the count, but then f is positive somewhere.
    forged = copy.deepcopy(small.proof)
    forged["a"][0] = str(int(forged["a"][0]) + 2**58)
    with pytest.raises(CertificateError, match="f is not shown"):
        check_three_point(restated(forged, 3, cosine, 5), 3, cosine)
    # Smaller squares would raise the loss, but are then indefinite.
    forged = copy.deepcopy(small.proof)
    forged["squares"][0][0] = str(int(forged["squares"][0][0]) - 2**58)
    with pytest.raises(CertificateError, match="not positive semidefinite"):
        restated(forged, 3, cosine, 5)
    # So is a form without its corner, and larger squares leave no loss.
    forged = copy.deepcopy(small.proof)
    forged["forms"][0][0] = "0"
    with pytest.raises(CertificateError, match="not positive semidefinite"):
        restated(forged, 3, cosine, 5)
    forged = copy.deepcopy(small.proof)
    forged["squares"][0][0] = str(int(forged["squares"][0][0]) + 2**64)
    with pytest.raises(CertificateError, match="on triples"):
        check_three_point(restated(forged, 3, cosine, 6), 3, cosine)
    forged = copy.deepcopy(small.proof)
    forged["a"][1] = "-1"
    with pytest.raises(CertificateError, match="only the first negative"):
        check_three_point(forged, 3, cosine)


def test_definiteness_is_exact():
    basis = [RING.constant(1), RING.gens()[0], RING.gens()[1]]
    singular = [1, 1, 1, 0, 0, 1]  # (1 + u)² + v²
    assert quadratic(singular, basis, basis) == (basis[0] + basis[1]) ** 2 + basis[2] ** 2
    large = 10**40
    with pytest.raises(CertificateError, match="a matrix of 3 rows is not positive semidefinite"):
        quadratic([large, large, large - 1, 0, 0, large], basis, basis)
    with pytest.raises(CertificateError, match="5 entries"):
        quadratic(singular[:5], basis, basis)
    random = np.random.default_rng(0)
    for _ in range(50):
        g = random.integers(-3, 4, size=(4, 4))
        g = g + g.T + 6 * np.eye(4, dtype=int)
        low = np.linalg.eigvalsh(g)[0]
        entries = [int(g[i, j]) for i in range(4) for j in range(i + 1)]
        if abs(low) < 1e-9:
            continue
        try:
            quadratic(entries, basis + basis[:1], basis + basis[:1])
            assert low > 0
        except CertificateError:
            assert low < 0


def test_delsarte_is_the_theorem_without_triples():
    bound = delsarte_bound(4, fmpq(1, 2), lines=False, degree=10)
    f = [fmpq(*map(int, (c + "/1").split("/")[:2])) * 2**60 for c in bound.proof["coefficients"]]
    degree = 5
    a = [int(x) for x in f] + [0] * (2 * degree + 1 - len(f))
    forms = [[0] * ((degree + 1 - k) * (degree + 2 - k) // 2) for k in range(degree + 1)]
    sums = [[0] * (len(b) * (len(b) + 1) // 2) for _, b in squares(degree, fmpq(1, 2))]
    texts = {"forms": [[str(x) for x in m] for m in forms], "squares": [[str(x) for x in m] for m in sums]}
    proof = {"degree": degree, "count": 25, "a": [str(x) for x in a], "loss": "0", "total": str(sum(a)), **texts}
    assert check_three_point(proof, 4, fmpq(1, 2)) == bound.value == 25
    with pytest.raises(CertificateError):
        check_three_point({**proof, "count": 24}, 4, fmpq(1, 2))


def test_sign_of_a_polynomial_with_a_zero_at_the_end():
    t = fmpq_poly([0, 1])
    assert nonpositive((t + 1) * (t - 1), fmpq(-1), fmpq(1))
    assert not nonpositive((t + 1) * (t - 1), fmpq(-1), fmpq(1001, 1000))
