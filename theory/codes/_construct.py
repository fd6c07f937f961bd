"""Construction of the vectors that the proof of a lower bound names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flint import fmpq, fmpz

from .._checks import CertificateError, InputError
from ..counts._record import digits
from . import _complements, _composed, _frames, _polynomials, _quadratic
from ._code import Code, Coherence, basis, explicit, first, orthogonal_sum
from ._lattices import lattice
from ._leech import named
from ._verify_code import verify_code

Part = Mapping[str, Any]


def construct(proof: Part) -> Code:
    """The lines of a proof: of one family, {"family": ..., its parameters}, or of an orthogonal sum, {"by": "sum", "parts": [...]}.

    Families and parameters are those of the certificates of lower bounds; "copies" of a part count. The code holds no vectors but makes
    them: `blocks`, `row`, `vectors`. InputError where the parameters are not of the family, and for "covering" and "signs", which prove
    that a set exists without giving one.

    >>> construct({"family": "quadratic", "m": 12, "d": 6})
    Code(n=4096, count=8392704, integer=True, norm2=4096)
    >>> code = construct({"by": "sum", "parts": [{"family": "quadratic", "m": 2, "d": 1}, {"family": "basis", "n": 1}]})
    >>> code.n, code.count, code.row(4).tolist()
    (5, 13, [1, 1, 1, -1, 0])
    """
    try:
        if proof.get("by") == "sum":
            parts = [(_family(part), int(part.get("copies", 1))) for part in proof["parts"]]
            if not parts or min(copies for _, copies in parts) < 1:
                raise InputError("parts must not be empty, and copies be positive; leave empty parts out")
            return orthogonal_sum(parts, lambda: _largest([code for code, _ in parts]))
        return _family(proof)
    except KeyError as missing:
        raise InputError(f"proof must give {missing} of family {proof.get('family')!r}; add it") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError | CertificateError):
            raise
        raise InputError(f"proof must give numbers as integers or strings of them, got {proof}: {error}") from None


def _largest(codes: list[Code]) -> Coherence:
    found = [verify_code(code, fmpq(1)) for code in codes]
    method = "; ".join(dict.fromkeys(part.method for part in found))
    return Coherence(
        max(part.square for part in found), min(part.grade for part in found), f"orthogonal sum of: {method}"
    )


def _family(part: Part) -> Code:
    name = part["family"]
    if name in ("covering", "signs"):
        raise InputError(f"family {name!r} proves that a set exists and gives no vectors; ask for another proof")
    if name not in FAMILIES:
        raise InputError(f"family must be one of {', '.join(FAMILIES)}, got {name!r}")
    return FAMILIES[name](part)


def _puncture(part: Part) -> Code:
    of, drop = part["of"], int(part["drop"])
    if of["family"] not in ("quadratic", "bch"):
        raise InputError(f"of must be of family quadratic or bch, got {of['family']!r}")
    if not 0 < drop < 2 ** int(of["m"]):
        raise InputError(f"drop must be in 1..{2 ** int(of['m']) - 1}, got {drop}")
    if of["family"] == "bch":
        return _polynomials.bch(int(of["m"]), int(of["t"]), drop)
    return _quadratic.quadratic(_quadratic.forms(int(of["m"]), int(of["d"])), drop)


def _net(part: Part) -> Code:
    q, k, places, order = (int(part[key]) for key in ("q", "k", "places", "order"))
    return _polynomials.net(q, k, places, order, int(part.get("inside", 0)))


def _concatenation(part: Part) -> Code:
    inner = _family(part["inner"])
    return _polynomials.concatenation(int(part["q"]), int(part["k"]), inner, verify_code(inner, fmpq(1)).square)


def _tensor(part: Part) -> Code:
    first, *others = [_family(factor) for factor in part["factors"]]
    for other in others:
        first = _composed.tensor(first, other)
    return first


def _naimark(part: Part) -> Code:
    of = part["of"]
    name = of["family"]
    if name == "naimark":
        return _family(of["of"])
    if name == "conference":
        return _frames.conference(int(of["q"]), square=False)
    if name == "symplectic":
        return _frames.symplectic(int(of["m"]), -int(of["sign"]))
    if name == "simplex":
        return explicit(np.ones((int(of["n"]) + 1, 1), dtype=np.int8))
    if name == "steiner":
        return _complements.steiner_complement(int(of["k"]), int(of["v"]))
    if name == "net" and not int(of.get("inside", 0)):
        return _complements.net_complement(int(of["q"]), int(of["k"]), int(of["places"]), int(of["order"]))
    if name not in ("quadratic", "bch", "chirp"):
        raise InputError(f"of must be of a family of tight frames with a complement, got {name!r}")
    bases = _family(of)
    return _complements.twisted(bases, _frames.simplex(bases.count // bases.n - 1))


def _bases(part: Part, code: Code) -> Code:
    """The first `bases` of the orthonormal bases of which the code is made; without that key, all."""
    bases = int(fmpz(part.get("bases", code.count // code.n)))
    if not 2 <= bases <= code.count // code.n:
        raise InputError(f"bases must be from 2 to {digits(code.count // code.n)}, got {digits(bases)}")
    return code if bases * code.n == code.count else first(code, bases * code.n)


def _sizes(part: Part) -> list[tuple[int, int]]:
    return [(int(m), int(groups)) for m, groups in part["sizes"]]


FAMILIES: dict[str, Callable[[Part], Code]] = {
    "basis": lambda p: basis(int(p["n"])),
    "simplex": lambda p: _frames.simplex(int(p["n"])),
    "polygon": lambda p: _frames.polygon(int(p["count"])),
    "conference": lambda p: _frames.conference(int(p["q"])),
    "steiner": lambda p: _frames.steiner(int(p["k"]), int(p["v"])),
    "symplectic": lambda p: _frames.symplectic(int(p["m"]), int(p["sign"])),
    "quadratic": lambda p: _bases(p, _quadratic.quadratic(_quadratic.forms(int(p["m"]), int(p["d"])))),
    "bch": lambda p: _polynomials.bch(int(p["m"]), int(p["t"])),
    "chirp": lambda p: _bases(p, _polynomials.chirp(int(p["q"]), int(p["degree"]))),
    "devore": lambda p: _polynomials.devore(int(p["p"]), int(p["r"])),
    "net": _net,
    "concatenation": _concatenation,
    "tensor": _tensor,
    "puncture": _puncture,
    "inflated": lambda p: _composed.inflated(_family(p["base"]), fmpq(p["cosine"]), _sizes(p)),
    "naimark": _naimark,
    "lattice": lattice,
    "named": named,
    "vectors": lambda p: explicit(np.array([[int(x) for x in row] for row in p["vectors"]], dtype=np.int64)),
}
