"""Every family of lines made and measured: sizes and coherences by hand or from the literature, structure against all pairs."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import Grade, InputError
from tegum.theory._checks import CertificateError
from tegum.theory.codes._code import explicit
from tegum.theory.codes._construct import FAMILIES, construct
from tegum.theory.codes._fields import hadamard
from tegum.theory.codes._frames import steiner, triple_system
from tegum.theory.codes._leech import golay, laminated_normals, leech, section
from tegum.theory.codes._polynomials import bch
from tegum.theory.codes._quadratic import Forms, form_signs, forms, quadratic
from tegum.theory.codes._verify_code import by_pairs, ranks, root_above, verify_code, walsh
from tegum.theory.counts._family_check import family, hadamard_order

SIX = {"family": "conference", "q": 5}
SIXTEEN = {"family": "symplectic", "m": 2, "sign": 1}
KERDOCK = {"family": "quadratic", "m": 4, "d": 2}

# proof, n, count, squared coherence of the vectors, whether the theorem of the family gives just that.
TABLE = [
    ({"family": "basis", "n": 5}, 5, 5, "0", True),
    ({"family": "simplex", "n": 7}, 7, 8, "1/49", True),
    ({"family": "polygon", "count": 3}, 2, 3, "1/4", True),
    (SIX, 3, 6, "1/5", True),
    ({"family": "conference", "q": 9}, 5, 10, "1/9", True),
    ({"family": "conference", "q": 49}, 25, 50, "1/49", True),
    ({"family": "steiner", "k": 2, "v": 4}, 6, 16, "1/9", True),
    ({"family": "steiner", "k": 2, "v": 8}, 28, 64, "1/49", True),
    ({"family": "steiner", "k": 3, "v": 7}, 7, 28, "1/9", True),
    ({"family": "steiner", "k": 3, "v": 15}, 35, 120, "1/49", True),
    (SIXTEEN, 6, 16, "1/9", True),
    ({"family": "symplectic", "m": 2, "sign": -1}, 10, 16, "1/25", True),
    ({"family": "symplectic", "m": 3, "sign": 1}, 28, 64, "1/49", True),
    ({"family": "symplectic", "m": 3, "sign": -1}, 36, 64, "1/81", True),
    ({"family": "quadratic", "m": 2, "d": 1}, 4, 12, "1/4", True),
    ({"family": "quadratic", "m": 3, "d": 1}, 8, 72, "1/4", True),
    ({"family": "quadratic", "m": 4, "d": 1}, 16, 1040, "1/4", True),
    (KERDOCK, 16, 144, "1/16", True),
    ({"family": "quadratic", "m": 5, "d": 2}, 32, 1056, "1/16", True),
    ({"family": "quadratic", "m": 6, "d": 3}, 64, 2112, "1/64", True),
    ({"family": "quadratic", "m": 6, "d": 3, "bases": 9}, 64, 576, "1/64", True),
    ({"family": "bch", "m": 4, "t": 2}, 16, 272, "1/4", True),
    # Less than Weil's 2/√32: sums of quadratic forms in an odd number of variables are 0 or ±8.
    ({"family": "bch", "m": 5, "t": 2}, 32, 1056, "1/16", False),
    ({"family": "chirp", "q": 3, "degree": 2}, 6, 24, "1/3", True),
    ({"family": "chirp", "q": 5, "degree": 2}, 10, 60, "1/5", True),
    ({"family": "chirp", "q": 9, "degree": 2}, 18, 180, "1/9", True),
    ({"family": "chirp", "q": 7, "degree": 2, "bases": 3}, 14, 42, "1/7", True),
    ({"family": "net", "q": 5, "k": 2, "places": 4, "order": 4}, 20, 100, "1/16", True),
    ({"family": "net", "q": 7, "k": 3, "places": 8, "order": 8}, 56, 2744, "1/16", True),
    ({"family": "net", "q": 7, "k": 2, "places": 7, "order": 8}, 49, 392, "1/49", True),
    ({"family": "devore", "p": 5, "r": 2}, 25, 125, "4/25", True),
    ({"family": "devore", "p": 4, "r": 1}, 16, 16, "1/16", True),
    ({"family": "concatenation", "q": 7, "k": 2, "inner": {"family": "basis", "n": 8}}, 56, 49, "1/49", True),
    ({"family": "concatenation", "q": 5, "k": 2, "inner": SIXTEEN}, 30, 25, "1/9", False),
    ({"family": "tensor", "factors": [{"family": "simplex", "n": 3}, SIXTEEN]}, 18, 64, "1/9", True),
    ({"family": "tensor", "factors": [KERDOCK, {"family": "lattice", "name": "D", "n": 4}]}, 64, 1728, "1/4", True),
    ({"family": "puncture", "of": {"family": "quadratic", "m": 5, "d": 2}, "drop": 2}, 30, 1054, "1/9", True),
    ({"family": "puncture", "of": {"family": "bch", "m": 5, "t": 2}, "drop": 1}, 31, 1055, "81/961", False),
    ({"family": "inflated", "base": SIX, "cosine": "1/5", "sizes": [[3, 2], [2, 4]]}, 11, 14, "1/25", True),
    ({"family": "inflated", "base": SIX, "cosine": "1/5", "sizes": [[3, 2]]}, 7, 6, "1/25", True),
    (
        {"family": "inflated", "base": {"family": "simplex", "n": 2}, "cosine": "1/10", "sizes": [[12, 1], [7, 2]]},
        25,
        26,
        "1/100",
        True,
    ),
    ({"family": "naimark", "of": {"family": "steiner", "k": 2, "v": 8}}, 36, 64, "1/81", True),
    ({"family": "naimark", "of": {"family": "steiner", "k": 3, "v": 7}}, 21, 28, "1/81", True),
    ({"family": "naimark", "of": {"family": "conference", "q": 9}}, 5, 10, "1/9", True),
    ({"family": "naimark", "of": {"family": "symplectic", "m": 3, "sign": 1}}, 36, 64, "1/81", True),
    ({"family": "naimark", "of": {"family": "naimark", "of": SIXTEEN}}, 6, 16, "1/9", True),
    ({"family": "naimark", "of": KERDOCK}, 128, 144, "1/1024", True),
    ({"family": "naimark", "of": {"family": "quadratic", "m": 4, "d": 2, "bases": 5}}, 64, 80, "1/256", True),
    ({"family": "naimark", "of": {"family": "chirp", "q": 5, "degree": 2}}, 50, 60, "1/125", True),
    ({"family": "named", "name": "fifths", "n": 23}, 23, 276, "1/25", True),
    ({"family": "named", "name": "thirds", "n": 23}, 23, 2300, "1/9", True),
    ({"family": "lattice", "name": "A", "n": 6}, 6, 21, "1/4", True),
    ({"family": "lattice", "name": "D", "n": 6}, 6, 30, "1/4", True),
    ({"family": "lattice", "name": "E6"}, 6, 36, "1/4", True),
    ({"family": "lattice", "name": "E7"}, 7, 63, "1/4", True),
    ({"family": "lattice", "name": "E8"}, 8, 120, "1/4", True),
    ({"family": "lattice", "name": "Barnes-Wall", "m": 3}, 8, 120, "1/4", True),
    ({"family": "lattice", "name": "Barnes-Wall", "m": 4}, 16, 2160, "1/4", True),
    ({"family": "lattice", "name": "Lambda", "n": 16}, 16, 2160, "1/4", True),
    ({"family": "lattice", "name": "Lambda", "n": 17}, 17, 2673, "1/4", True),
    ({"family": "vectors", "vectors": [[1, 1, 0], [1, -1, 1], [0, 1, 2]]}, 3, 3, "1/10", True),
]


def label_of(proof):
    return "-".join(str(x) for x in proof.values() if not isinstance(x, dict | list))


def label(row):
    return f"{label_of(row[0])}-{row[2]}"


def test_table_has_every_family():
    assert {row[0]["family"] for row in TABLE} == set(FAMILIES)


@pytest.mark.parametrize("row", TABLE, ids=label)
def test_family(row):
    proof, n, count, square, attained = row
    code, square = construct(proof), fmpq(square)
    rows = code.vectors()
    assert (code.n, code.count) == (n, count) == (rows.shape[1], rows.shape[0])
    assert code.integer == np.issubdtype(rows.dtype, np.integer)
    norms = (rows.astype(float) ** 2).sum(axis=1)
    assert code.norm2 is None or (norms == code.norm2).all()
    # Vectors do not depend on the blocks in which they are made.
    tolerance = 0 if code.integer else 1e-13
    assert abs(np.concatenate(list(code.blocks(7))) - rows).max() <= tolerance
    assert abs(code.row(count - 1) - rows[-1]).max() <= tolerance
    # All pairs, by another way: the Gram matrix of the unit vectors in float64.
    unit = rows / np.sqrt(norms)[:, None]
    gram = unit @ unit.T
    np.fill_diagonal(gram, 0)
    assert abs(gram).max() == pytest.approx(float(square) ** 0.5, abs=1e-9)
    found = verify_code(code, square)
    assert found.square == square or (found.grade < Grade.EXACT and found.square >= square)
    # What the theorem states is the truth, or above it where that is said.
    stated = family(proof, fmpq(0))
    assert (stated.n, stated.count) == (n, count)
    assert stated.square == square if attained else stated.square > square
    # An argument by structure says what all pairs say.
    if code.argument is not None:
        assert fmpq(code.argument().square) >= square
    # Negative control: nothing below the coherence is accepted.
    if square > 0:
        with pytest.raises(CertificateError, match="squared coherence must be at most"):
            verify_code(code, square * fmpq(999999, 1000000))


@pytest.mark.parametrize("row", [row for row in TABLE if row[2] <= 300], ids=label)
def test_gram_is_positive_semidefinite_of_rank_n(row):
    code, name = construct(row[0]), row[0]["family"]
    values = np.linalg.eigvalsh(code.units(0, code.count) @ code.units(0, code.count).T)
    assert values.min() > -1e-9
    assert (values > 1e-9).sum() <= code.n
    # Tight frames, by their theorems and because the vectors of an irreducible root system or of a two-graph are.
    tight = {
        "simplex",
        "conference",
        "steiner",
        "symplectic",
        "quadratic",
        "bch",
        "chirp",
        "naimark",
        "lattice",
        "named",
    }
    if name in tight:
        assert values[-code.n :] == pytest.approx(code.count / code.n, abs=1e-9)


@pytest.mark.parametrize(
    ("q", "k", "places", "order", "inside", "square"),
    [
        (3, 2, 3, 4, 4, "1/9"),
        (7, 2, 7, 8, 8, "1/49"),
        (4, 2, 4, 4, 4, "1/16"),
        (4, 2, 3, 4, 4, "1/9"),
        # One place too many for the lines inside: 1/3 is above 1/4.
        (3, 2, 4, 4, 4, "1/9"),
        (5, 3, 4, 4, 0, "1/4"),
    ],
)
def test_nets_with_lines_inside_their_blocks(q, k, places, order, inside, square):
    code = construct({"family": "net", "q": q, "k": k, "places": places, "order": order, "inside": inside})
    assert (code.n, code.count) == (q * places, q**k * order + places * inside)
    assert by_pairs(code).square == code.argument().square == fmpq(square)
    # Both kinds are tight, so all together are.
    values = np.linalg.eigvalsh(code.units(0, code.count).T @ code.units(0, code.count))
    assert values == pytest.approx(code.count / code.n, abs=1e-9)


@pytest.mark.parametrize("count", [4, 5, 6, 7, 50])
def test_polygons(count):
    found = verify_code(construct({"family": "polygon", "count": count}), fmpq(999, 1000))
    assert found.square >= fmpq(*Fraction(np.cos(np.pi / count) ** 2 - 1e-15).as_integer_ratio())
    assert float(found.square) == pytest.approx(np.cos(np.pi / count) ** 2, abs=1e-15)


@pytest.mark.parametrize(("q", "degree"), [(5, 3), (7, 3), (11, 3), (11, 4), (25, 3)])
def test_exponential_sums_are_within_the_bound_of_weil(q, degree):
    code = construct({"family": "chirp", "q": q, "degree": degree})
    assert code.count == 2 * q**degree + 2 * q
    weil = fmpq((degree - 1) ** 2, q)
    if weil < 1:
        found = verify_code(code, weil)
        assert found.grade is Grade.ENCLOSED
        # Attained over the field of 25 elements.
        assert found.square == weil if q == 25 else found.square < weil
        if code.count < 3000:
            assert float(by_pairs(code).square) == pytest.approx(float(found.square), abs=1e-12)


# ---- quadratic forms ----


@pytest.mark.parametrize(
    ("m", "d"), [(2, 1), (3, 1), (4, 1), (4, 2), (5, 1), (5, 2), (6, 2), (6, 3), (7, 2), (7, 3), (8, 4)]
)
def test_ranks_of_differences(m, d):
    chosen = forms(m, d)
    assert chosen.count == (2 ** ((m - 1) * (m // 2 - d + 1)) if m % 2 == 0 else 2 ** (m * ((m - 1) // 2 - d + 1)))
    assert chosen.least_rank() == 2 * d
    matrices = np.array([chosen.matrix(g) for g in range(min(chosen.count, 64))])
    assert len(np.unique(matrices, axis=0)) == len(matrices)
    bits = matrices[..., None] >> np.arange(m) & 1
    assert (bits == bits.swapaxes(1, 2)).all()
    assert not bits[:, np.arange(m), np.arange(m)].any()


@given(st.integers(2, 7), st.data())
def test_walsh_transform_of_a_form_has_its_rank(m, data):
    matrix = np.zeros(m, dtype=np.uint32)
    for i, j in combinations(range(m), 2):
        if data.draw(st.booleans()):
            matrix[i] |= 1 << j
            matrix[j] |= 1 << i
    rank = int(ranks(matrix))
    assert rank % 2 == 0
    spectrum = walsh(form_signs(matrix))
    assert set(abs(spectrum).tolist()) <= {0, 2 ** (m - rank // 2)}
    assert abs(spectrum).max() == 2 ** (m - rank // 2)
    # Rank over GF(2) by the size of the span of the rows.
    span = {0}
    for row in matrix.tolist():
        span |= {x ^ row for x in span}
    assert len(span) == 2**rank


def kernel_of(table, m):
    return Forms(m, len(table), lambda a: table[a], np.zeros((0, m), dtype=np.uint32))


@pytest.mark.parametrize("m", [4, 6, 8])
def test_a_kerdock_set_with_one_matrix_replaced_fails(m):
    whole = forms(m, m // 2)
    table = np.array([whole.matrix(g) for g in range(whole.count)])
    good = quadratic(kernel_of(table, m))
    assert good.argument().square == fmpq(1, 2**m)
    wrong = table.copy()
    # One off-diagonal entry and its mirror image: still alternating, and as far from one as the set allows.
    wrong[-1, 0] ^= 2
    wrong[-1, 1] ^= 1
    bad = quadratic(kernel_of(wrong, m))
    assert bad.argument().square == fmpq(4, 2**m)
    for code in (bad, replace(bad, argument=None)) if m < 8 else (bad,):
        with pytest.raises(CertificateError):
            verify_code(code, fmpq(1, 2**m))


def test_forms_without_a_theorem_are_not_believed():
    wide = replace(forms(18, 7), proved=0)
    with pytest.raises(InputError, match="differences of forms"):
        quadratic(wide).argument()
    assert quadratic(forms(18, 7)).argument().grade is Grade.CERTIFIED


@pytest.mark.slow
def test_all_8392704_lines_of_the_kerdock_set_in_4096_dimensions():
    code = construct({"family": "quadratic", "m": 12, "d": 6})
    assert (code.n, code.count) == (4096, 8392704)
    found = verify_code(code, fmpq(1, 4096))
    assert (found.square, found.grade) == (fmpq(1, 4096), Grade.EXACT)
    assert "2096128 differences" in found.method
    # They stream, and random rows have the products that the ranks promise.
    tracemalloc.start()
    seen = 0
    for block in code.blocks():
        seen += len(block)
        if seen >= 2**17:
            break
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**28
    chosen = np.random.default_rng(1).integers(0, code.count, 200)
    unit = np.stack([code.units(int(i), int(i) + 1)[0] for i in chosen])
    products = abs(unit @ unit.T)
    np.fill_diagonal(products, 0)
    assert products.max() == pytest.approx(1 / 64, abs=1e-12)
    with pytest.raises(InputError, match="4 GiB"):
        code.vectors()
    with pytest.raises(CertificateError):
        verify_code(replace(code, argument=lambda: found), fmpq(1, 4097))


@given(st.sampled_from([4, 5, 6]), st.data())
def test_dual_bch_words_are_a_linear_code(m, data):
    code = bch(m, 2)
    x, y = (code.row(data.draw(st.integers(0, 4**m - 1))).astype(np.int64) for _ in range(2))
    # The product of two words is a word: its inner product is n with just one.
    products = code.take(0, 4**m) @ (x * y)
    assert (products == code.n).sum() == 1
    assert np.sort(abs(products))[-2] < code.n


# ---- verification ----


@pytest.mark.slow
def test_large_families_by_their_structure():
    for proof, square in [
        ({"family": "quadratic", "m": 7, "d": 3}, fmpq(1, 64)),
        ({"family": "quadratic", "m": 8, "d": 4}, fmpq(1, 256)),
        ({"family": "conference", "q": 3989}, fmpq(1, 3989)),
        ({"family": "steiner", "k": 2, "v": 60}, fmpq(1, 59**2)),
        ({"family": "lattice", "name": "Barnes-Wall", "m": 5}, fmpq(1, 4)),
    ]:
        code = construct(proof)
        assert code.count**2 * code.n > 2**34
        assert verify_code(code, square).square == square
        with pytest.raises(CertificateError):
            verify_code(code, square * fmpq(99999, 100000))


def test_where_only_a_theorem_is_left_the_grade_says_so():
    found = verify_code(construct({"family": "bch", "m": 16, "t": 3}), fmpq(16, 2**16))
    assert found.grade is Grade.CERTIFIED
    assert found.square == fmpq(16, 2**16)
    assert "Weil" in found.method
    huge = construct({"family": "quadratic", "m": 14, "d": 6})
    assert huge.count == 2 ** (13 * 2 + 14) + 2**14
    assert set(huge.row(huge.count - 2**14 - 1).tolist()) == {1, -1}
    assert verify_code(huge, fmpq(1, 4**6)).grade is Grade.CERTIFIED


@pytest.mark.parametrize(
    "proof",
    [
        {"family": "chirp", "q": 1033, "degree": 11},
        {"family": "devore", "p": 71, "r": 24},
        {"family": "bch", "m": 10, "t": 9},
        {"family": "quadratic", "m": 12, "d": 2},
        {"family": "net", "q": 59, "k": 13, "places": 59, "order": 60},
        {"family": "concatenation", "q": 64, "k": 20, "inner": {"family": "quadratic", "m": 6, "d": 3}},
    ],
    ids=label_of,
)
def test_rows_of_codes_with_more_lines_than_any_array_has(proof):
    code, stated = construct(proof), family(proof, fmpq(0))
    assert code.count == stated.count > 2**63
    rng = np.random.default_rng(0)
    chosen = [0, code.count - 1, *(int.from_bytes(rng.bytes(80)) % code.count for _ in range(40))]
    unit = np.concatenate([code.units(i, i + 1) for i in chosen])
    products = abs(unit @ unit.T)
    assert np.diag(products) == pytest.approx(1, abs=1e-12)
    np.fill_diagonal(products, 0)
    assert products.max() <= float(stated.square) ** 0.5 + 1e-12


@given(st.integers(2, 6), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_all_pairs_against_fractions(n, count, seed):
    rows = np.random.default_rng(seed).integers(-9, 10, (count, n))
    rows[~rows.any(axis=1), 0] = 1
    expected = max(Fraction(int(x @ y) ** 2, int(x @ x) * int(y @ y)) for x, y in combinations(rows.astype(object), 2))
    found = by_pairs(explicit(rows))
    assert (int(found.square.p), int(found.square.q)) == (expected.numerator, expected.denominator)


@given(st.sampled_from([SIX, SIXTEEN, KERDOCK, {"family": "lattice", "name": "E7"}]), st.integers(0, 2**32 - 1))
def test_coherence_does_not_change_under_rotation(proof, seed):
    code = construct(proof)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((code.n, code.n)))[0]
    turned = explicit(code.units(0, code.count) @ rotation)
    square = family(proof, fmpq(0)).square
    found = verify_code(turned, square)
    assert found.grade is Grade.NUMERIC
    assert float(found.square) == pytest.approx(float(square), abs=1e-12)
    with pytest.raises(CertificateError):
        verify_code(turned, square - fmpq(1, 10**6))


@pytest.mark.parametrize(
    "proof", [SIX, SIXTEEN, KERDOCK, {"family": "named", "name": "fifths", "n": 23}, {"family": "simplex", "n": 5}]
)
def test_altered_vectors_are_found(proof):
    code = construct(proof)
    square = family(proof, fmpq(0)).square

    def take(i, j):
        rows = code.take(i, j).copy()
        if i <= 1 < j:
            rows[1 - i, 0] *= -1
        return rows

    with pytest.raises(CertificateError):
        verify_code(replace(code, take=take), square)
    with pytest.raises(CertificateError, match="must have"):
        verify_code(replace(code, take=lambda i, j: code.take(i, j)[1:], argument=None), square)


def test_a_wrong_argument_is_contradicted_by_the_vectors():
    code = construct(SIX)
    found = code.argument()
    with pytest.raises(CertificateError, match="the vectors must have"):
        verify_code(replace(code, argument=lambda: replace(found, square=fmpq(1, 6))), fmpq(1, 2))
    with pytest.raises(CertificateError, match="the vectors must have"):
        verify_code(replace(code, argument=lambda: replace(found, square=fmpq(1, 4))), fmpq(1, 2))


def test_a_section_must_be_orthogonal_to_its_normals():
    rows, normals = leech()[:50].astype(np.int64), laminated_normals(1)
    with pytest.raises(CertificateError, match="orthogonal to the normals"):
        section(rows, normals).argument()


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_root_above(p, q):
    square = fmpq(p, q)
    root = root_above(square)
    assert root * root >= square
    assert (root - fmpq(1, 2**200)) ** 2 < square


# ---- compositions ----


PARTS = [
    SIX,
    SIXTEEN,
    {"family": "basis", "n": 2},
    {"family": "simplex", "n": 4},
    {"family": "lattice", "name": "D", "n": 4},
]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(PARTS), st.integers(1, 3)), min_size=1, max_size=3))
def test_orthogonal_sums(chosen):
    code = construct({"by": "sum", "parts": [{**part, "copies": copies} for part, copies in chosen]})
    members = [(family(part, fmpq(0)), copies) for part, copies in chosen]
    assert code.n == sum(member.n * copies for member, copies in members)
    assert code.count == sum(member.count * copies for member, copies in members)
    square = max(member.square for member, _ in members)
    assert verify_code(code, square).square == square
    # Each vector lives in its own block of coordinates, and blocks do not matter.
    rows, at, column = np.concatenate(list(code.blocks(5))), 0, 0
    for member, copies in members:
        for _ in range(copies):
            block = rows[at : at + member.count]
            outside = np.ones(code.n, dtype=bool)
            outside[column : column + member.n] = False
            assert not block[:, outside].any()
            assert block.any(axis=1).all()
            at, column = at + member.count, column + member.n


@settings(max_examples=25)
@given(st.sampled_from([SIX, SIXTEEN, {"family": "polygon", "count": 3}]), st.integers(4, 30), st.data())
def test_inflated_frames(base, inverse, data):
    frame = family(base, fmpq(0))
    c = fmpq(1, inverse)
    sizes = [[data.draw(st.integers(1, 2 * inverse)), 1] for _ in range(data.draw(st.integers(1, frame.count)))]
    code = construct({"family": "inflated", "base": base, "cosine": str(c), "sizes": sizes})
    assert code.n == frame.n + sum(m - 1 for m, _ in sizes)
    assert code.count == sum(m for m, _ in sizes)
    # The formula against the vectors, whether or not the groups are far enough apart.
    found, seen = verify_code(code, fmpq(1)), float(by_pairs(code).square)
    assert seen <= float(found.square) + 1e-12
    if found.grade is Grade.EXACT and len(sizes) > 1:
        assert seen == pytest.approx(float(found.square), abs=1e-12)
    radii = sorted(max(0.0, (1 - (m - 1) / inverse) / m) ** 0.5 for m, _ in sizes)[-2:]
    apart = len(radii) < 2 or float(frame.square) ** 0.5 * radii[0] * radii[1] <= 1 / inverse + 1e-12
    assert (found.square <= c * c) == apart


def test_inflated_copies_of_one_vector_and_groups_too_close():
    line = {"family": "naimark", "of": {"family": "simplex", "n": 4}}
    code = construct({"family": "inflated", "base": line, "cosine": "1/3", "sizes": [[3, 2], [2, 2]]})
    assert (code.n, code.count) == (7, 10)
    assert verify_code(code, fmpq(1, 9)).square == fmpq(1, 9)
    close = construct({"family": "inflated", "base": SIX, "cosine": "1/6", "sizes": [[1, 2], [3, 1]]})
    with pytest.raises(CertificateError):
        verify_code(close, fmpq(1, 36))


@pytest.mark.parametrize(
    "of",
    [
        {"family": "steiner", "k": 2, "v": 8},
        {"family": "steiner", "k": 3, "v": 7},
        {"family": "net", "q": 5, "k": 2, "places": 4, "order": 4},
        {"family": "net", "q": 3, "k": 2, "places": 4, "order": 4},
        {"family": "net", "q": 4, "k": 2, "places": 3, "order": 4},
        {"family": "net", "q": 3, "k": 3, "places": 4, "order": 4},
        {"family": "chirp", "q": 5, "degree": 2, "bases": 3},
        {"family": "simplex", "n": 5},
        KERDOCK,
        SIX,
        SIXTEEN,
    ],
)
def test_complement_of_a_frame(of):
    frame, code = construct(of), construct({"family": "naimark", "of": of})
    n, count = frame.n, frame.count
    whole, left = (x.units(0, count) @ x.units(0, count).T for x in (frame, code))
    # The Gram matrices are n/N P and (N - n)/N (1 - P), up to signs of the vectors.
    assert abs(left) == pytest.approx(abs(count / (count - n) * (np.eye(count) - n / count * whole)), abs=1e-9)
    assert left @ left == pytest.approx(count / (count - n) * left, abs=1e-8)


def test_punctured_rows_are_rows():
    of = {"family": "quadratic", "m": 5, "d": 2}
    whole, code = construct(of), construct({"family": "puncture", "of": of, "drop": 3})
    assert (code.take(0, 1024) == whole.take(0, 1024)[:, :-3]).all()
    assert (code.take(1024, 1053) == np.eye(29)).all()


# ---- designs and lattices ----


@pytest.mark.parametrize("v", [v for v in range(3, 80) if v % 6 in (1, 3)])
def test_triple_systems(v):
    pairs = [frozenset(pair) for block in triple_system(v) for pair in combinations(block, 2)]
    assert len(pairs) == len(set(pairs)) == v * (v - 1) // 2


def test_golay_code():
    weights = np.bincount(golay().sum(axis=1), minlength=25)
    assert {k: int(w) for k, w in enumerate(weights) if w} == {0: 1, 8: 759, 12: 2576, 16: 759, 24: 1}
    # Self-dual: its dimension is 12, and words of a basis have even products.
    generators = golay()[2 ** np.arange(12)].astype(int)
    assert not (generators @ generators.T % 2).any()


def test_leech_lattice_has_the_kissing_number():
    rows = leech().astype(np.float32)
    assert len(rows) == 98280
    products = np.unique(abs(rows[:200] @ rows.T))
    assert products.tolist() == [0, 8, 16, 32]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "count"), [(18, 3699), (19, 5334), (20, 8700), (21, 13860), (22, 24948), (23, 46575)])
def test_laminated_lattices(n, count):
    code = construct({"family": "lattice", "name": "Lambda", "n": n})
    assert (code.n, code.count) == (n, count)
    # All pairs of integers up to 5334 lines; beyond, a sample of vectors with all.
    if n < 20:
        assert verify_code(code, fmpq(1, 4)).square == fmpq(1, 4)
    else:
        products = abs(code.units(0, 50) @ code.vectors().T)
        assert np.sort(products, axis=1)[:, -2].max() == pytest.approx(0.5, abs=1e-9)


SYSTEMS = {
    "thirds": {
        23: 2300,
        22: 1408,
        21: 896,
        20: 640,
        19: 448,
        18: 352,
        17: 288,
        16: 256,
        15: 160,
        14: 112,
        13: 80,
        12: 64,
        11: 48,
    },
    "fifths": {23: 276, 22: 176, 21: 126, 20: 90, 19: 72, 18: 56, 17: 48},
    "quarters": {22: 275, 21: 175},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n", "count"), [(name, *item) for name, items in SYSTEMS.items() for item in items.items()]
)
def test_systems_of_lines_in_the_leech_lattice(name, n, count):
    code = construct({"family": "named", "name": name, "n": n})
    assert (code.n, code.count) == (n, count)
    square = {"thirds": fmpq(1, 9), "fifths": fmpq(1, 25), "quarters": fmpq(1, 16)}[name]
    found = verify_code(code, square)
    assert (found.square, found.grade) == (square, Grade.EXACT)
    products = abs(code.vectors() @ code.vectors().T)[~np.eye(count, dtype=bool)]
    if name == "thirds":
        assert set(np.round(products, 9)) == {0, np.round(1 / 3, 9)}
    if name == "fifths":
        assert products == pytest.approx(0.2, abs=1e-9)


# ---- refusals ----


@pytest.mark.parametrize(
    ("proof", "match"),
    [
        ({"family": "nonsense"}, "family must be one of"),
        ({"family": "covering", "n": 5, "count": 7}, "gives no vectors"),
        ({"family": "simplex"}, "proof must give 'n'"),
        ({"family": "conference", "q": 7}, "1 mod 4"),
        ({"family": "conference", "q": 21}, "1 mod 4"),
        ({"family": "steiner", "k": 2, "v": 6}, "Hadamard"),
        ({"family": "steiner", "k": 3, "v": 8}, "modulo 6"),
        ({"family": "steiner", "k": 4, "v": 13}, "k must be 2 or 3"),
        ({"family": "symplectic", "m": 2, "sign": 2}, "sign must be"),
        ({"family": "quadratic", "m": 4, "d": 3}, "d must be"),
        ({"family": "quadratic", "m": 4, "d": 2, "bases": 10}, "bases must be"),
        ({"family": "bch", "m": 4, "t": 3}, "coherence below 1"),
        ({"family": "chirp", "q": 9, "degree": 3}, "above the degree"),
        ({"family": "chirp", "q": 12, "degree": 2}, "prime power"),
        ({"family": "devore", "p": 5, "r": 5}, "r must be"),
        ({"family": "net", "q": 5, "k": 2, "places": 7, "order": 8}, "places must be"),
        ({"family": "net", "q": 5, "k": 2, "places": 5, "order": 5}, "order must be"),
        ({"family": "concatenation", "q": 9, "k": 2, "inner": {"family": "basis", "n": 8}}, "q must be"),
        ({"family": "puncture", "of": SIX, "drop": 1}, "quadratic or bch"),
        ({"family": "inflated", "base": SIX, "cosine": "1/5", "sizes": [[2, 7]]}, "sizes must be"),
        ({"family": "naimark", "of": {"family": "basis", "n": 4}}, "tight frames with a complement"),
        ({"family": "lattice", "name": "Lambda", "n": 24}, "n must be in 9..23"),
        ({"family": "named", "name": "277"}, "name must be thirds, fifths or quarters"),
        ({"family": "named", "name": "fifths", "n": 16}, "n must be in 17..23"),
        ({"family": "vectors", "vectors": [[1, 0], [0, 0]]}, "zero"),
        ({"family": "basis", "n": "many"}, "numbers as integers"),
        ({"family": "inflated", "base": SIX, "cosine": "x", "sizes": [[2, 1]]}, "numbers as integers"),
        ({"by": "sum", "parts": []}, "parts must not be empty"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_refusals(proof, match):
    with pytest.raises(InputError, match=match):
        construct(proof)


def test_counts_too_long_to_print():
    code = construct({"family": "devore", "p": 2003, "r": 1900})
    assert code.count == 2003**1901
    assert len(repr(code)) > 6000
    with pytest.raises(InputError, match="i must be in"):
        code.row(code.count)
    with pytest.raises(InputError, match="pair by pair"):
        verify_code(replace(code, argument=None), fmpq(1, 2))


def test_rows_out_of_range():
    with pytest.raises(InputError, match="i must be in"):
        construct(SIX).row(6)


def test_too_many_pairs():
    with pytest.raises(InputError, match="pair by pair"):
        verify_code(replace(construct({"family": "quadratic", "m": 12, "d": 6}), argument=None), fmpq(1, 2))


def test_steiner_frames_and_hadamard_matrices_exist_where_the_check_of_a_count_says():
    for order in range(1, 130):
        if hadamard_order(order):
            assert hadamard(order).shape == (order, order)
        else:
            with pytest.raises(InputError):
                hadamard(order)
    assert steiner(2, 12).argument().square == fmpq(1, 121)
