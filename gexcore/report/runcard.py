"""The record of a run in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gexcore.report.audit import Audit

Facts = list[tuple[str, str]]
PLURAL = {"member": "members"}


def facts(audit: Audit) -> Facts:
    """Names and values of the main facts of a run, in reading order."""
    run = audit.run
    passes, seconds = run.get("passes", {}), run.get("seconds")
    counts = {name: n for name, n in run.get("snapshots", {}).items() if name != "all"}
    rates = run.get("learning_rates") or []
    found: list[tuple[str, str | None]] = [
        ("Method", run.get("method")),
        ("Backend", run.get("backend")),
        ("Samples", f"{len(audit):,}"),
        ("Classes", str(run["classes"]) if run.get("classes") else None),
        ("Time", None if seconds is None else f"{seconds:,.1f} s"),
        (
            "Cost",
            f"{passes['epochs']:,.0f} forward passes over the data" if "epochs" in passes else None,
        ),
        (
            "Snapshots",
            ", ".join(f"{n:,} {PLURAL.get(name, name)}" for name, n in counts.items() if n) or None,
        ),
        ("Learning rates", " – ".join(f"{rate:.3g}" for rate in rates) or None),
        ("Chosen", _listed(run.get("chosen", {}))),
        ("Influence", _listed(run.get("weighting", {}))),
        ("Plan", _listed(run.get("plan", {}))),
        ("Settings", _listed(run.get("settings", {}))),
        ("Versions", _listed(run.get("versions", {}), " ")),
    ]
    return [(name, value) for name, value in found if value]


def notes(audit: Audit, *, listed: int, shown: int | None) -> list[str]:
    """Notes that a reader of the page must know, one sentence each.

    Parameters
    ----------
    audit : Audit
    listed : int
        Number of samples on the page.
    shown : int or None
        Number of listed samples that show their content. None without data.
    """
    told = []
    if audit.threshold.value is None:
        told.append(
            f"No threshold: {audit.threshold.reason}. Nothing is flagged until you move the "
            "slider; a refusal does not mean that the labels are right."
        )
    findings = [f for f in audit.run.get("findings", []) if f["name"] != "no_separate_mode"]
    told += [f"{finding['sentence'][:1].upper()}{finding['sentence'][1:]}." for finding in findings]
    if audit.run.get("weighting") == {"weights": "mean", "center": "checkpoint"}:
        told.append('"Why this one" is by a ridge over members, and influence() by their mean.')
    if np.isnan(audit.standard_error).all():
        told.append("There are no standard errors: no sample was seen by two chains.")
    if listed < len(audit):
        told.append(
            f"The list has the {listed:,} most suspicious of {len(audit):,} samples; counts "
            "and histogram use all."
        )
    if shown is not None and shown < listed:
        told.append(
            f"Only the first {shown:,} of the list are shown with their content: the page "
            "would grow too large."
        )
    equal = int((audit.suspicion == audit.suspicion.max()).sum())
    if equal > 1:
        told.append(
            f"The first {equal:,} samples have the same score, the highest that there is. Their "
            "order is that of the data."
        )
    misplaced = _misplaced(audit)
    if misplaced:
        told.append(
            f"The threshold was found on losses clipped at {audit.threshold.clip or 3:g}; drawn on "
            f"the score of the ranking, {misplaced} samples next to it change sides."
        )
    return told


def _misplaced(audit: Audit) -> int:
    cut = audit.cut()
    return 0 if cut is None else int((audit.suspect & (audit.suspicion <= cut)).sum())


def _listed(values: Mapping[str, Any], between: str = " = ") -> str:
    return ", ".join(f"{name.replace('_', ' ')}{between}{value}" for name, value in values.items())
