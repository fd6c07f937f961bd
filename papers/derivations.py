"""The closed forms as a document: `python -m tegum.papers.derivations [FILE]` writes them with what their checks counted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import sympy

from ..numerics._files import write_atomically
from ..theory import closed_forms

if TYPE_CHECKING:
    from ..theory import Derivation

SAMPLES = 100
HEAD = f"""# Closed forms

Derived by sympy from the definition of the loss L = Σ I_i E (x_i − x'_i)², x' = ReLU(WᵀWx + b), with features that are uniform on
[0, 1] with density p and else 0; r is the importance of the second feature. Each is then compared with an enclosure of the exact loss
in ball arithmetic at {SAMPLES} random points that satisfy its assumptions: *true* means that both sides agree to 10 digits (or that an
inequality is proved at the point), *false* that the claim is proved wrong there, *undecided* that the enclosures are too wide to tell.
Made by `python -m tegum.papers.derivations docs/derivations.md`.
"""


def document() -> str:
    """The document in Markdown, checks run anew."""
    return "\n".join([HEAD, *(section(form) for form in closed_forms().values())])


def section(form: Derivation) -> str:
    """One closed form: claim, assumptions, derivation and counts."""
    counted = form.check(samples=SAMPLES)
    where = [
        rf"{sympy.latex(s)} \in [{sympy.latex(sympy.nsimplify(lo))}, {sympy.latex(sympy.Float(hi, 6))}]"
        for s, (lo, hi) in form.domain.items()
    ]
    assumed = [sympy.latex(relation) for relation in form.assumptions]
    lines = [
        f"## {form.name[0].upper()}{form.name[1:]}",
        f"\n{form.title}\n",
        "$$",
        r"\begin{gathered}",
        form.latex(),
        r"\end{gathered}",
        "$$\n",
        f"Sampled at ${',; '.join([*where, *assumed])}$.".replace(",;", r",\;"),
        f"Derivation: {form.steps}.",
        f"Checked: {counted.true} true, {counted.undecided} undecided, {counted.false} false.\n",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/derivations.md")
    write_atomically(target, document())
    sys.stdout.write(f"{len(closed_forms())} closed forms in {target}\n")
