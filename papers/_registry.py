"""Registry: every source and claim, found by id."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from ..theory import InputError
from . import chen2023, dearnaley2022, elhage2022, jensen2024, lieberum2022, sanderson2024

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._claim import Claim, Source

MODULES = (elhage2022, chen2023, lieberum2022, dearnaley2022, sanderson2024, jensen2024)


@cache
def sources() -> dict[str, Source]:
    """Every source by key."""
    return {module.SOURCE.key: module.SOURCE for module in MODULES}


def claims(names: Sequence[str] = ()) -> tuple[Claim, ...]:
    """Claims by id or by source key, in the order of the registry; all of them without names.

    Raises InputError for an unknown name, with the nearest known one.

    >>> [claim.id for claim in claims(["jensen2024"])]
    ['jensen2024.27', 'jensen2024.28']
    """
    everything = [claim for module in MODULES for claim in module.CLAIMS]
    known = {claim.id for claim in everything} | set(sources())
    for name in names:
        if name not in known:
            near = get_close_matches(name, sorted(known), 1, 0.0)[0]
            raise InputError(
                f"no paper or claim is called {name!r}; the nearest is {near!r} (tegum verify --list shows all)"
            )
    wanted = set(names) or known
    return tuple(claim for claim in everything if claim.id in wanted or claim.source in wanted)
