"""Where optimal models change along one-parameter families: `python -m tegum.papers.transition_runs [NAMES] [--out FOLDER]`.

About five minutes on one core. Writes runs/transitions.json and docs/transitions.md of the checkout, or both under FOLDER. Every family is
stored as soon as it is done; one that is already there, made by the same code, is not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize

from .. import theory
from ..numerics._files import write_atomically
from ..theory import InputError, Transition, Transitions, loss_and_gradient, transitions
from ._evidence import hardware, now, versions
from ._lab import STORED
from ._transition_families import PROBLEMS, Problem

SCHEMA = "tegum-transitions/1"
PAGE = STORED.parent.parent / "docs" / "transitions.md"
# Random starts per family from packings' neighbours, and of the other optimiser on either side of a transition.
RESTARTS, SEARCHES = 4, 8
# Relative distance within which an independent value belongs to a transition: wide enough that a wrong one shows.
NEAR = 1e-3
# Digits after the point that are shown at most.
DIGITS = 10


def run(name: str) -> dict[str, Any]:
    """The transitions of one family as plain data, every one with its independent check."""
    problem, began = PROBLEMS[name], time.perf_counter()
    found = transitions(problem.family, problem.m, problem.grid, bias=problem.bias, restarts=RESTARTS)
    places = [t.parameter for t in found.transitions]
    checks: dict[int, tuple[str, float]] = {}
    for label, compute in problem.checks:
        value = compute()
        away = [abs(value - place) for place in places]
        if not min(away, default=np.inf) <= NEAR * value:
            raise InputError(f"{name}: {label} gives {value}, but no transition is within {NEAR:g} of it, got {places}")
        checks[int(np.argmin(away))] = label, value
    marks = np.array([problem.grid[0], *places, problem.grid[-1]])
    rooms = np.minimum(np.diff(marks)[:-1], np.diff(marks)[1:]) / marks[1:-1]
    rows = [_row(problem, t, checks.get(k), float(rooms[k])) for k, t in enumerate(found.transitions)]
    made = {
        "command": "python -m tegum.papers.transition_runs",
        "when": now(),
        "seconds": round(time.perf_counter() - began, 1),
        "hardware": hardware(),
        "versions": versions(),
        "code": _digest(),
    }
    return {"provenance": made, "problem": problem.words, **_path(found), "rows": rows}


def _path(found: Transitions) -> dict[str, Any]:
    return {"parameter": found.parameter.tolist(), "loss": found.loss.tolist(), "geometry": list(found.geometry)}


def _row(problem: Problem, t: Transition, check: tuple[str, float] | None, room: float) -> dict[str, Any]:
    """One line of the table; `room` is the relative distance to the next transition or end."""
    if check is None and t.order == "first":
        value = scipy_crossing(problem, t, min(1e-3, room / 3))
        check = ("scipy", value) if np.isfinite(value) else None
    return {
        **{key: getattr(t, key) for key in ("below", "above", "parameter", "order", "error", "loss", "jump", "kink")},
        "check": None if check is None else {"name": check[0], "value": check[1]},
        "lower": scipy_gain(problem, t, min(0.01, room / 3)) if problem.searched else None,
    }


def _descend(problem: Problem, parameter: float, weights: Any, bias: Any) -> float:
    """Least loss that scipy's L-BFGS-B reaches from a model, which shares the loss with `transitions` and no descent."""
    features, shape = problem.family(parameter), weights.shape
    scale = float((features.importance * features.variance).sum())

    def loss(x: Any) -> tuple[float, Any]:
        b = x[weights.size :] if problem.bias else bias
        value, d_weights, d_bias = loss_and_gradient(x[: weights.size].reshape(shape), b, features, atol=1e-3)
        gradient = np.concatenate([d_weights.ravel(), d_bias]) if problem.bias else d_weights.ravel()
        return float(value) / scale, gradient / scale

    start = np.concatenate([weights.ravel(), bias]) if problem.bias else weights.ravel()
    options: Any = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 3000, "maxfun": 6000, "maxcor": 30}
    return float(minimize(loss, start, jac=True, method="L-BFGS-B", options=options).fun) * scale


def scipy_crossing(problem: Problem, t: Transition, width: float) -> float:
    """Where the losses cross to which scipy descends from the two states of a transition; nan if they do not change sign nearby."""

    def excess(x: float) -> float:
        low, high = (_descend(problem, x, t.weights[k], t.bias[k]) for k in (0, 1))
        return low - high

    for share in (width, width / 30, width / 1000):
        a, b = t.parameter * (1 - share), t.parameter * (1 + share)
        if excess(a) < 0 < excess(b):
            return float(brentq(excess, a, b, xtol=1e-12))
    return float("nan")


def scipy_gain(problem: Problem, t: Transition, width: float) -> float:
    """By how much the best of scipy's random starts is below the two states, a little to either side; relative, 0 if it is not."""
    rng, gains = np.random.default_rng(0), []
    for x in (t.parameter * (1 - width), t.parameter * (1 + width)):
        features = problem.family(x)
        scale = float((features.importance * features.variance).sum())
        known = min(_descend(problem, x, t.weights[k], t.bias[k]) for k in (0, 1))
        starts = [
            (0.6 * rng.standard_normal(t.weights[0].shape), problem.bias * 0.1 * rng.standard_normal(features.n))
            for _ in range(SEARCHES)
        ]
        gains.append((known - min(_descend(problem, x, *start) for start in starts)) / scale)
    return max(0.0, *gains)


def _digest() -> str:
    """Of the code that the stored numbers come from."""
    root = Path(theory.__file__).parent
    names = (
        "_transition",
        "_branches",
        "_states",
        "_vertex",
        "_descent",
        "_bfgs",
        "_packing",
        "_blocks",
        "_shapes",
        "_geometry",
        "_maps",
        "_features",
        "_law",
    )
    here = Path(__file__)
    files = [here, here.with_name("_transition_families.py"), *(root / f"{name}.py" for name in names)]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def load_families(path: Path = STORED / "transitions.json") -> dict[str, Any]:
    """Finished families by name; none if there is no file yet."""
    if not path.exists():
        return {}
    body = json.loads(path.read_text(encoding="utf-8"))
    if body.get("schema") != SCHEMA:
        raise InputError(
            f"{path.name} must be a {SCHEMA} file; make it again with python -m tegum.papers.transition_runs"
        )
    families: dict[str, Any] = body["families"]
    return families


def save_families(path: Path, families: dict[str, Any]) -> None:
    """Write the families in the order of `PROBLEMS`."""
    body = {"schema": SCHEMA, "families": {name: families[name] for name in PROBLEMS if name in families}}
    write_atomically(path, json.dumps(body, indent=1, ensure_ascii=False) + "\n")


HEAD = """# Where the optimal model changes

<!-- Written by `python -m tegum.papers.transition_runs`; change that, not this. -->

Found with `transitions` (grade NUMERIC: both states of a row are explicit models, so a state nobody has found could only be lower).
*First*: both states are local minima there and their losses cross. *Continuous*: one grows out of the other. p is the density.
The digits shown are those that `error`, the estimate of the location's error, leaves. The independent check says what else gives the
place, and by how much it differs: `scipy` descends with L-BFGS-B from the two states and crosses their losses, which checks the place and
not that no other state is lower; the others share neither descent nor states with `transitions`. "nothing lower" means that
{searches} random starts of L-BFGS-B to either side, at one per cent or a third of the way to the next change, find no state lower by more
than 1e-9 of the loss of storing nothing.
{coarse}
The families took {seconds:.0f} s.

| problem | transition | at | order | error | independent check |
|---|---|---|---|---|---|
"""
COARSE = (
    "The grid for n = 6, m = 3 is coarse (four densities): pairs of changes between two of them would not show. Two changes closer "
    "than the\nother grids, 16 densities or 8 to 14 importances and factors, can be missed too."
)


def render(families: dict[str, Any]) -> str:
    """The page docs/transitions.md."""
    seconds = sum(family["provenance"]["seconds"] for family in families.values())
    lines = []
    for family in families.values():
        for k, row in enumerate(family["rows"]):
            size = f" (jump {row['jump']:.2g})" if row["below"] == row["above"] else ""
            lines.append(
                f"| {family['problem'] if k == 0 else ''} | {row['below']} → {row['above']}{size} | {_place(row)} | {row['order']} "
                f"| {row['error']:.0e} | {_check(row)} |"
            )
        if not family["rows"]:
            most = max(family["loss"])
            words = f"none: {family['geometry'][0]}, loss at most {most:.0e}"
            lines.append(f"| {family['problem']} | {words} | | | | none |")
    head = HEAD.format(searches=SEARCHES, seconds=seconds, coarse=COARSE)
    return head + "\n".join(lines) + "\n" + _facts(families)


def _place(row: dict[str, Any]) -> str:
    digits = min(DIGITS, max(0, int(np.floor(-np.log10(2 * row["error"])))))
    return f"{row['parameter']:.{digits}f}"


def _check(row: dict[str, Any]) -> str:
    check = row["check"]
    words = "none" if check is None else f"{check['name']}: {check['value'] - row['parameter']:+.0e}"
    if row["lower"] is not None:
        words += "; nothing lower" if row["lower"] < 1e-9 else f"; scipy lower by {row['lower']:.0e}"
    return words


def _facts(families: dict[str, Any]) -> str:
    factors = {p: families.get(f"one feature denser, p = {p}") for p in (0.02, 0.05, 0.1)}
    known = [f"{1 / f['rows'][0]['parameter']:.3f} at p = {p}" for p, f in factors.items() if f and f["rows"]]
    if not known:
        return ""
    return (
        "\nOne feature made sparser breaks the pentagon at a factor 1/f that depends on the density of the others: "
        f"{', '.join(known)}.\nElhage et al. 2022 state about 2.5 at p = 0.05.\n"
    )


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, store it family by family, write the page."""
    parser = argparse.ArgumentParser(prog="python -m tegum.papers.transition_runs", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"families, all if none is named: {', '.join(PROBLEMS)}")
    parser.add_argument(
        "--out", type=Path, help="folder for transitions.json and transitions.md, the checkout's own places if left out"
    )
    chosen = parser.parse_args(argv)
    unknown = set(chosen.names) - set(PROBLEMS)
    if unknown:
        parser.error(f"names must be among {', '.join(PROBLEMS)}, got {', '.join(sorted(unknown))}")
    data = STORED / "transitions.json" if chosen.out is None else chosen.out / "transitions.json"
    page = PAGE if chosen.out is None else chosen.out / "transitions.md"
    families = {k: v for k, v in load_families(data).items() if v["provenance"]["code"] == _digest()}
    for name in chosen.names or PROBLEMS:
        if name not in families:
            families[name] = run(name)
            save_families(data, families)
            made = families[name]
            sys.stderr.write(f"{name}: {len(made['rows'])} transitions, {made['provenance']['seconds']:.0f} s\n")
    write_atomically(page, render(load_families(data)))


if __name__ == "__main__":
    main()
