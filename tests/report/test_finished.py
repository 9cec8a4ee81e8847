"""Finished folders: every wrong value is told, and files are read and written row by row."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gexcore.cli.output import result_files, write_files
from gexcore.decisions.cuts import Threshold
from gexcore.decisions.threshold import Suspects
from gexcore.errors import InvalidDataError
from gexcore.report.audit import read_audit
from gexcore.report.finished import read_finished, sealed
from gexcore.report.payload import payload
from gexcore.report.runcard import facts, notes

RECORD = {
    "method": "GEX",
    "backend": "numpy",
    "samples": 6,
    "classes": 3,
    "seconds": 1.5,
    "passes": {"forward": 6, "epochs": 1.0},
    "plan": {"chains": 1},
    "settings": {"lr": "auto"},
    "chosen": {"optimizer": "sgd"},
    "weighting": {"weights": "ridge", "center": "ensemble", "strength": 0.3, "shrinkage": 6.0},
    "versions": {"numpy": "2.0"},
    "learning_rates": [0.1, 0.2],
    "snapshots": {
        "member": 1,
        "all": [{"chain": 0, "number": 0, "lr": 0.1, "skill": 0.5, "status": "member"}],
    },
    "findings": [{"name": "few_members", "sentence": "there are few members", "numbers": {}}],
}
COMMAND = {"name": "score", "data": ["digest"], "label": None}


def folder_of(where: Path, rows: int = 6, classes: int = 3) -> Path:
    rng = np.random.default_rng(0)
    suspicion = rng.gamma(2.0, size=rows)
    suspect = suspicion > 3
    columns = {
        "index": np.arange(rows),
        "label": np.arange(rows) % classes,
        "suspicion": suspicion,
        "standard_error": np.where(suspicion > 1, suspicion / 10, np.nan),
        "self_influence": suspicion**2,
        "suspect": suspect,
        "suggested_label": np.arange(rows) % classes,
    }
    found = Suspects(np.flatnonzero(suspect), Threshold(3.0, "valley", "two modes"))
    record = {**RECORD, "samples": rows, "classes": classes}
    write_files(where, result_files(record, columns, found, COMMAND, [Path("data.npz")]))
    return where


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from places(item, (*path, key))


def test_no_value_in_the_record_ends_in_a_traceback(tmp_path: Path) -> None:
    """Whatever stands anywhere in run.json, it is read and shown, or told in one sentence."""
    folder = folder_of(tmp_path / "audit")
    record = json.loads((folder / "run.json").read_text())
    told: list[str] = []
    for path in [*places(record)][1:]:
        for value in (None, -1, 2**70, 1e300, "text", [1], {"a": 1}, True, [None], [[]]):
            changed = copy.deepcopy(record)
            inside: Any = changed
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = value
            (folder / "run.json").write_text(json.dumps(sealed(changed)))
            try:
                audit = read_audit(folder)
                json.dumps(payload(audit, audit.ranking(), [], None), allow_nan=False)
                json.dumps([facts(audit), notes(audit, listed=1, shown=None)])
            except InvalidDataError as error:
                told.append(str(error))
    assert len(told) > 200
    assert not any("\n" in sentence for sentence in told)
    for content in ("", "[]", "{", "[" * 100_000, "\xff", "NaN"):
        (folder / "run.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(InvalidDataError, match="cannot be read as scores"):
            read_finished(folder)


def test_no_change_of_the_record_is_accepted(tmp_path: Path) -> None:
    """A value that its type allows is still not what the run wrote."""
    folder = folder_of(tmp_path / "audit")
    path = folder / "run.json"
    record = json.loads(path.read_text())
    for place in [*places(record)][1:]:
        for value in (None, 0.25, "text", "valley", [], {}):
            changed = copy.deepcopy(record)
            inside: Any = changed
            for key in place[:-1]:
                inside = inside[key]
            if inside[place[-1]] == value:
                continue
            inside[place[-1]] = value
            path.write_text(json.dumps(changed))
            with pytest.raises(InvalidDataError, match=r"it is not what the run wrote|cannot be"):
                read_audit(folder)
    path.write_text(json.dumps(record, indent=7, sort_keys=True))
    assert len(read_audit(folder)) == 6


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "audit")
    content = (folder / "scores.csv").read_bytes()
    (folder / "scores.csv").write_bytes(content.replace(b"false", b"true", 1))
    with pytest.raises(InvalidDataError, match=r"scores\.csv cannot be read \(it is not what"):
        read_audit(folder)
    (folder / "scores.csv").write_bytes(content)
    assert len(read_audit(folder)) == 6


def test_more_classes_than_a_page_can_tell_apart(tmp_path: Path) -> None:
    audit = read_audit(folder_of(tmp_path / "audit", rows=65_540, classes=65_540))
    assert audit.labels is not None
    assert audit.labels.max() == 65_539
    with pytest.raises(InvalidDataError, match="65540 classes, and a page tells at most 65535"):
        payload(audit, audit.ranking()[:10], [], None)
    few = read_audit(folder_of(tmp_path / "few", rows=65_540, classes=65_535))
    assert len(payload(few, few.ranking()[:10], [], None)["classes"]) == 65_535


def test_scores_are_written_and_read_in_little_memory(tmp_path: Path) -> None:
    """At most one and a half times the file, columns of the result included."""
    rows = 60_000
    folder_of(tmp_path / "first")  # imports and caches
    tracemalloc.start()
    try:
        folder = folder_of(tmp_path / "audit", rows)
        _, written = tracemalloc.get_traced_memory()
        size = (folder / "scores.csv").stat().st_size
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        read_finished(folder)
        _, read = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written < 1.5 * size
    assert read - before < 1.5 * size
