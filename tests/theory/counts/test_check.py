"""Certificates of counts: changed numbers are found, and stronger claims are rejected even when they are signed anew."""

import copy
import json

import pytest

from tegum.theory import CertificateError, code_bounds, count_bounds, verify_certificate
from tegum.theory.counts import check_count
from tegum.theory.counts._check import signed

CASES = {
    "102 in R^100": lambda: count_bounds(100, degrees=1),
    "Kerdock": lambda: count_bounds(4096, degrees=1),
    "sums": lambda: count_bounds(10000, degrees=1),
    "linear program": lambda: count_bounds(20, cosine="2/5"),
    "E8": lambda: code_bounds(8, "1/2"),
    "icosahedron": lambda: code_bounds(3, "1/3"),
    "negative": lambda: code_bounds(5, "-1/7"),
    "halved cube": lambda: code_bounds(5, "1/5"),
    "covering": lambda: count_bounds(3000, degrees=20),
    "orthoplex": lambda: count_bounds(10, cosine="3/10"),
    "circle": lambda: count_bounds(2, degrees=54),
    "plane": lambda: count_bounds(2, cosine="3/5"),
    "line": lambda: count_bounds(1, degrees=1),
    "net": lambda: count_bounds(3481, degrees=1),
}


def certificates():
    for name, make in CASES.items():
        bounds = make()
        for side in ("lower", "upper"):
            yield f"{name}, {side}", getattr(bounds, f"{side}_certificate")


ALL = dict(certificates())


def numbers(part, path=()):
    """Paths of all numbers in a certificate, also of those written as text."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key != "digest":
                yield from numbers(value, (*path, key))
    elif isinstance(part, list):
        for i, value in enumerate(part):
            yield from numbers(value, (*path, i))
    elif isinstance(part, int) or (isinstance(part, str) and part.lstrip("-")[:1].isdigit()):
        yield path


def changed(certificate, path, by):
    other = copy.deepcopy(certificate)
    at = other
    for key in path[:-1]:
        at = at[key]
    old = at[path[-1]]
    if isinstance(old, int):
        at[path[-1]] = old + by
    else:
        top, _, bottom = old.partition("/")
        at[path[-1]] = str(int(top) + by) + (f"/{bottom}" if bottom else "")
    return other


@pytest.mark.parametrize("name", ALL)
def test_holds_and_any_changed_number_is_found(name):
    certificate = json.loads(json.dumps(ALL[name]))
    verify_certificate(certificate)
    paths = list(numbers(certificate))
    assert len(paths) >= 3
    for path in paths[:: max(1, len(paths) // 40)]:
        for by in (1, -1):
            with pytest.raises(CertificateError):
                check_count(changed(certificate, path, by))


@pytest.mark.parametrize("name", ALL)
def test_stronger_claims_are_rejected_though_signed(name):
    """One line more from below, one less from above; a wider or narrower angle; one dimension less or more."""
    certificate = ALL[name]
    lower = certificate["side"] == "lower"
    count = int(certificate["count"])
    # Beyond a hundred bits the check allows for what shorter balls lose.
    wrong = (count + 1, count - 1) if count < 2**100 else (2 * count, count // 2)
    for other in wrong:
        with pytest.raises(CertificateError):
            check_count(signed({**certificate, "count": str(other)}))
    with pytest.raises(CertificateError):
        check_count(signed(changed(certificate, ("n",), -1 if lower else 1)))


@pytest.mark.parametrize("name", [name for name in ALL if "lower" in name and "line" not in name.split(",")[0]])
def test_an_angle_that_the_vectors_do_not_keep_is_rejected(name):
    certificate = ALL[name]
    key = "square" if certificate["set"] == "lines" else "cosine"
    other = {k: v for k, v in certificate.items() if k != "degrees"} | {
        key: "-1/2" if key == "cosine" else "1/100000000"
    }
    with pytest.raises(CertificateError):
        check_count(signed(other))


def test_degrees_must_fit_the_square():
    for side, by in (("upper", -1), ("lower", 1)):
        certificate = ALL[f"Kerdock, {side}"]
        with pytest.raises(CertificateError, match="wrong side of the angle"):
            check_count(signed(changed(certificate, ("square",), by * 10**40)))


def test_levenshtein_outside_its_interval():
    """In R^8 at 1/2 the polynomial of degree 9 would 'prove' that at most 30 vectors fit, where 240 do."""
    certificate = {"kind": "count", "set": "code", "side": "upper", "n": 8, "cosine": "1/2"}
    for degree in (3, 5, 9, 11):
        with pytest.raises(CertificateError, match=r"not positive|not shown to be valid|count must be"):
            check_count(signed({**certificate, "count": "30", "proof": {"by": "Levenshtein", "degree": degree}}))
    assert check_count(signed({**certificate, "count": "240", "proof": {"by": "Levenshtein", "degree": 7}})) == 240


def test_families_refuse_parameters_that_do_not_belong():
    base = {"kind": "count", "set": "lines", "side": "lower", "square": "1/2"}
    wrong = [
        (8, 16, {"family": "conference", "q": 15}),
        (4, 8, {"family": "conference", "q": 7}),
        (15, 36, {"family": "steiner", "k": 2, "v": 6}),
        (16, 272, {"family": "quadratic", "m": 4, "d": 3}),
        (30, 480, {"family": "chirp", "q": 15, "degree": 2}),
        (6, 7, {"family": "simplex", "n": 5}),
        (3, 4, {"family": "rumour", "n": 3}),
        (9, 100, {"family": "lattice", "name": "E9"}),
        (25, 27, {"family": "devore", "p": 5, "r": 5}),
        (7, 9, {"family": "inflated", "base": {"family": "simplex", "n": 2}, "cosine": "9/10", "sizes": [[3, 3]]}),
    ]
    for n, count, part in wrong:
        proof = {"by": "sum", "parts": [{**part, "copies": 1}]}
        with pytest.raises(CertificateError):
            check_count(signed({**base, "n": n, "count": str(count), "proof": proof}))


def test_damaged_files():
    good = ALL["E8, upper"]
    for damaged in ({}, {**good, "proof": {}}, {**good, "n": "eight"}, {k: v for k, v in good.items() if k != "proof"}):
        with pytest.raises(CertificateError):
            check_count(signed(damaged) if "digest" in damaged else damaged)
