"""Verify: run the checks of claims, write their evidence, derive the verdicts and report them."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..numerics._files import write_atomically
from ..theory import InputError
from ._claim import TIERS, Check, Claim
from ._evidence import (
    RECORDED,
    Evidence,
    append_evidence,
    hardware,
    latest,
    load_folder,
    now,
    versions,
)
from ._lab import Lab
from ._registry import claims
from ._report import write_report
from ._result import Report, Result
from ._verdict import derive

if TYPE_CHECKING:
    from collections.abc import Sequence


def verify(
    names: Sequence[str] = (),
    *,
    tier: str = "fast",
    out: str | Path | None = None,
    progress: bool = False,
    device: str = "cpu",
) -> Report:
    """Check claims by id or source key (all of them without names) and derive their verdicts.

    tier: 'fast' computes theory only and takes trained models from the record, 'slow' trains them anew (about a minute and a half on
    two cores), 'full' repeats the papers' own training. out: a folder for the report and for the evidence, appended to what is there;
    None writes nothing. Interrupting it keeps and reports what was finished.

    Raises InputError for an unknown name or tier, a device that is not there, a folder that cannot be written and corrupt evidence.

    >>> [result.verdict.status.name for result in verify(["lieberum2022.01"]).results]
    ['CORRECTED']
    """
    if tier not in TIERS:
        raise InputError(f"tier must be one of {', '.join(TIERS)}, got {tier!r}")
    chosen = claims(names)
    if tier != "fast":
        from ..numerics import find_device

        find_device(device)  # a missing GPU is refused before anything is written
    folder = None if out is None else _writable(Path(out))
    known = load_folder(RECORDED)
    recorded = latest(known)
    if folder is not None and (folder / "evidence").exists():
        known = known + load_folder(folder / "evidence")
    stored = latest(known)
    lab = Lab(tier, folder, progress, device)
    command = "tegum verify " + shlex.join([*names, "--tier", tier])
    results = []
    interrupted = False
    bar = tqdm(chosen, disable=not progress, unit="claim", dynamic_ncols=True)
    for claim in bar:
        bar.set_description(claim.id)
        try:
            results.append(_settle(claim, lab, stored, recorded, command, folder))
        except KeyboardInterrupt:
            interrupted = True
            break
    report = Report(tuple(results), tier, folder, interrupted)
    if folder is not None:
        write_report(report, lab)
    return report


def _settle(
    claim: Claim,
    lab: Lab,
    stored: dict[tuple[str, str, str, str], Evidence],
    recorded: dict[tuple[str, str, str, str], Evidence],
    command: str,
    folder: Path | None,
) -> Result:
    fresh, old = [], []
    for check in claim.checks:
        for role, statement in claim.statements.items():
            if TIERS.index(check.tier) <= TIERS.index(lab.tier):
                fresh.append(run_check(claim, check, role, lab, command))
            else:
                past = stored.get((claim.id, check.name, role, json.dumps(statement)))
                old += [past] if past else []
    if folder is not None:
        append_evidence(folder / "evidence", fresh)
    before = [
        recorded[key]
        for check in claim.checks
        for role, statement in claim.statements.items()
        if (key := (claim.id, check.name, role, json.dumps(statement))) in recorded
    ]
    return Result(
        claim,
        (*fresh, *old),
        frozenset(e.check for e in old),
        derive(claim, [*fresh, *old]),
        derive(claim, before) if before else None,
    )


def run_check(claim: Claim, check: Check, role: str, lab: Lab, command: str) -> Evidence:
    """Run one check on one of the claim's statements and record what it found."""
    statement = claim.statements[role]
    when, started = now(), time.perf_counter()
    finding = check.run(statement, lab)
    return Evidence(
        claim=claim.id,
        check=check.name,
        role=role,
        statement=json.dumps(statement),
        holds=finding.holds,
        grade=finding.grade.name,
        measured=finding.measured,
        margin=finding.margin,
        unit=finding.unit,
        whole=check.whole,
        independent=check.independent,
        method=check.method,
        oracle=check.oracle,
        domain=claim.domain,
        seed=check.seed,
        command=command,
        versions=versions(),
        hardware=hardware(),
        when=when,
        seconds=round(time.perf_counter() - started, 3),
    )


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        write_atomically(probe, "")
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"out must be a folder that can be written, got {str(folder)!r} ({error.strerror}); choose another --out"
        ) from None
    return folder
