"""Commands of the theory: `tegum count`, `phase`, `bound` and `check`."""

from __future__ import annotations

import argparse
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ._output import show, write

if TYPE_CHECKING:
    from ._output import Command


def add(command: Command) -> None:
    """Add the commands to the parser."""
    count = command(
        "count",
        _count,
        "how many almost-orthogonal vectors fit",
        "Certified lower and upper bounds on the number of unit vectors of R^N whose angles deviate from 90° by at most D degrees.",
    )
    count.add_argument("n", type=int, metavar="N", help="dimensions, 1 to 10000000")
    count.add_argument(
        "--degrees", metavar="D", help="allowed deviation from a right angle, in (0, 90): 1 is 89° to 91°"
    )
    count.add_argument("--cosine", metavar="C", help="largest |cos| instead, in (0, 1), e.g. 0.1 or 1/3")
    count.add_argument(
        "--race", action="store_true", help="every bound that was tried, with what does not apply and why"
    )
    count.add_argument("--json", action="store_true", help="results as JSON on stdout")
    count.add_argument("--out", type=Path, metavar="FILE", help="write both certificates there")

    phase = command(
        "phase",
        _phase,
        "optimal state of two features in one dimension",
        "Optimal state of two features in one dimension, importances 1 and I, density p each.",
    )
    _density(phase)
    phase.add_argument(
        "--importance", type=float, metavar="I", help="importance of feature 2, positive; without it, the boundary only"
    )
    phase.add_argument("--json", action="store_true", help="results as JSON on stdout")
    phase.add_argument("--prove", type=Path, metavar="FILE", help="prove the state and write the certificate there")

    bound = command(
        "bound",
        _bound,
        "the best model found, and what every model loses at least",
        "The lowest loss found for n independent uniform features in m dimensions, and a certified lower bound (n <= 8).",
    )
    bound.add_argument("n", type=int, metavar="N", help="number of features, at most 8")
    bound.add_argument("m", type=int, metavar="M", help="hidden dimensions")
    _density(bound)
    bound.add_argument(
        "--ratio", type=float, default=1.0, metavar="R", help="importances 1, R, R², … (default 1: all equal)"
    )
    bound.add_argument("--json", action="store_true", help="results as JSON on stdout")
    bound.add_argument("--out", type=Path, metavar="FILE", help="write the certificate there")

    check = command(
        "check",
        _check,
        "verify certificates in exact arithmetic",
        "Verify what tegum count --out, tegum phase --prove or tegum bound --out wrote, without any solver.",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="a certificate or a list of them, JSON")


def _density(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--density", type=float, required=True, metavar="P", help="probability that a feature is active, in (0, 1]"
    )


def _count(arguments: argparse.Namespace) -> int:
    from ..theory import count_bounds
    from ..theory.counts import digits, size

    bounds = count_bounds(arguments.n, cosine=arguments.cosine, degrees=arguments.degrees)
    if arguments.out is not None:
        write(arguments.out, [bounds.lower_certificate, bounds.upper_certificate])
    if arguments.json:
        race = [
            {
                "side": b.side,
                "name": b.name,
                "value": None if b.value is None else digits(b.value),
                "note": b.note,
                "source": b.source,
            }
            for b in bounds.race
        ]
        result = {"n": bounds.n, "angle": bounds.words, "lower": digits(bounds.lower), "upper": digits(bounds.upper)}
        bits = {"log2_lower": bounds.log2_lower, "log2_upper": bounds.log2_upper, "grade": bounds.grade.name}
        print(json.dumps({**result, **bits, "sentence": bounds.sentence, "race": race}))
        return 0
    print(f"Unit vectors of R^{bounds.n}, {bounds.words} to each other:")
    for words, side, number in (("at least", "lower", bounds.lower), ("at most", "upper", bounds.upper)):
        best = bounds.winner(side)
        print(f"  {words:<9} {size(number):<26} {best.name}{f', {best.note}' if best.note else ''} ({best.source})")
    print(f"{bounds.sentence}\nEach bound is proved; --out FILE writes the proofs, tegum check FILE verifies them.")
    if arguments.race:
        print(f"\n{'side':<6} {'bound':<28} {'value':>22}  note")
        for b in bounds.race:
            print(f"{b.side:<6} {b.name:<28} {'-' if b.value is None else size(b.value):>22}  {b.note}".rstrip())
    return 0


def _phase(arguments: argparse.Namespace) -> int:
    from ..theory import InputError, phase_boundary, phase_diagram, prove_pair, verify_certificate

    if arguments.prove is not None and arguments.importance is None:
        raise InputError("--prove needs a point to prove something at; add --importance I")
    boundary = phase_boundary(arguments.density)
    result: dict[str, object] = {
        "density": arguments.density,
        "boundary": float(boundary.importance),
        "enclosure": boundary.enclosure.tolist(),
        "order": str(boundary.order),
        "jump": float(boundary.jump),
        "hysteresis": boundary.spinodals.tolist(),
        "naive_boundary": None if boundary.naive != boundary.naive else float(boundary.naive),
    }
    if arguments.importance is not None:
        diagram = phase_diagram([arguments.density], [arguments.importance])
        result |= {
            "importance": arguments.importance,
            "state": str(diagram.label[0, 0]),
            "loss": float(diagram.loss[0, 0]),
            "margin": float(diagram.margin[0, 0]),
            "weights": diagram.weights[0, 0].tolist(),
            "bias": diagram.bias[0, 0].tolist(),
        }
    result["grade"] = boundary.grade.name
    if arguments.prove is not None:
        p, weight = Fraction(str(arguments.density)), Fraction(str(arguments.importance))
        # Above 1 the features exchange their roles.
        weight = min(weight, 1 / weight)
        proof = prove_pair((p, p), (0 if str(result["state"]).startswith("only") else weight, weight))
        result["proved"] = None if proof is None else verify_certificate(proof)
        if proof is not None:
            write(arguments.prove, proof)
    show(result, arguments.json)
    return 0


def _bound(arguments: argparse.Namespace) -> int:
    from ..theory import Features, InputError, optimal_model

    if arguments.n < 1:
        raise InputError(f"N must be at least 1, got {arguments.n}")
    features = Features(arguments.density, [arguments.ratio**i for i in range(arguments.n)])
    best = optimal_model(features, arguments.m)
    bound = best.lower_bound
    result: dict[str, object] = {
        "loss": best.loss,
        "geometry": best.geometry,
        "lower_bound": bound.value,
        "ratio": bound.value / best.loss if best.loss > 0 else 1.0,
        "by": "; ".join(bound.parts),
        "grade": bound.grade.name,
    }
    if arguments.out is not None:
        write(arguments.out, bound.certificate)
    show(result, arguments.json)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from ..theory import CertificateError, InputError, verify_certificate

    try:
        certificate = json.loads(arguments.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"FILE must be a certificate in JSON, but {arguments.file} cannot be read: {error}") from None
    try:
        for each in certificate if isinstance(certificate, list) else [certificate]:
            print(verify_certificate(each))
    except CertificateError as error:
        print(f"tegum: not proved: {error}", file=sys.stderr)
        return 1
    return 0
