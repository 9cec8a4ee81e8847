"""The page is what the command makes of the rows, and its first line says what does not hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.paper import claims, page
from bench.paper.cases import CASES
from bench.paper.detectors import DETECTORS
from bench.paper.harness import NAMES, exhibit, rows_of
from bench.paper.published import printed, published

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROWS = DOCS / "rows" / "paper"


def test_the_page_agrees_with_its_rows() -> None:
    command = [sys.executable, "-m", "bench.paper", "--page", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


def test_a_changed_row_changes_the_page(tmp_path: Path) -> None:
    shutil.copytree(ROWS, tmp_path / "rows")
    file = tmp_path / "rows" / "table8.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    before = page.page(tmp_path / "rows", "small")
    next(row for row in rows if row["row"] == "GEX")["ap"] = 0.0
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    assert page.page(tmp_path / "rows", "small") != before


def test_pictures_of_the_page_are_there_and_rows_say_when_they_were_measured() -> None:
    text = (DOCS / "paper.md").read_text("utf-8")
    named = re.findall(r"\]\((paper/[\w-]+\.svg)\)", text)
    assert named
    assert all((DOCS / name).exists() for name in named)
    for name in NAMES:
        assert all(row["measured"] for row in rows_of(ROWS, name))


def test_published_numbers_are_those_of_the_paper() -> None:
    assert printed("table1", "GEX", "CIFAR-10", "auc") == "99.74 ± 0.02"
    assert printed("table1", "TracIn", "CIFAR-10", "auc") == "89.89"
    assert printed("table12", "GEX", "CIFAR-100", "accuracy") == "67.25 ± 0.07"
    assert printed("table1", "LA", "CIFAR-10", "auc") == "–"
    own = {"Clean label acc.", "Noisy label acc.", "all samples"}
    for table, row, column, metric in published():
        assert row in DETECTORS or row in own or (table == "table7" and row.isdigit()), row
        assert column in CASES or column == "MNIST and SVHN"
        assert metric in ("auc", "ap", "accuracy")
        assert exhibit(table).TITLE


@pytest.mark.parametrize(("gex", "holds"), [(90.0, True), (40.0, False)])
def test_the_first_line_says_what_does_not_hold(gex: float, holds: bool) -> None:
    def row(name: str, ap: float) -> dict[str, object]:
        return {"cell": "MNIST", "row": name, "seed": 0, "ap": ap, "auc": ap}

    rows = {name: [] for name in NAMES} | {"table8": [row("GEX", gex), row("EL2N", 50.0)]}
    line = claims.first_line(rows)
    assert ("0 of 1 claims" in line) is holds
    assert ("GEX is first in 0 of 1 cells; its mean AP is 40.0" in line) is not holds


def test_one_seed_has_no_deviation() -> None:
    row = {
        "cell": "MNIST",
        "row": "GEX",
        "backend": "torch",
        "variant": "",
        "auc": 71.25,
        "ap": 9.0,
    }
    one = page.detections("table8", [row])
    two = page.detections("table8", [row, {**row, "auc": 73.25}])
    assert "| 71.2 |" in one
    assert "| 72.2 ± 1.0 |" in two
    assert "| 71.2 |" in page.accuracies("table9", [{**row, "accuracy": 71.25}])


def test_our_default_is_compared_on_the_seeds_that_all_have() -> None:
    def row(name: str, seed: int, ap: float) -> dict[str, object]:
        return {"cell": "MNIST", "row": name, "seed": seed, "ap": ap, "auc": ap}

    rows = [row("GEX", 0, 40.0), row("Loss()", 0, 50.0), row("GEX(), our default", 0, 60.0)]
    rows += [row("GEX", 1, 40.0), row("Loss()", 1, 90.0)]
    found = claims.ours(("table8",))({"table8": rows})
    assert found is not None
    assert found.holds
    assert "mean AP 60.0, plain loss 50.0" in found.numbers
    assert claims.ours(("table8",))({"table8": rows[3:]}) is None
