"""`gexcore methods`, and the table it prints."""

from __future__ import annotations

import json
import re
import typing
from typing import Any

import pytest

import gexcore as gx
from gexcore.backend.capabilities import CAPABILITIES
from gexcore.cli.backends import Row
from gexcore.cli.catalogue import METHODS, Method, by_name
from gexcore.cli.documented import documented
from gexcore.cli.methods import holes, on_backends
from gexcore.cli.settings import flagged
from gexcore.cli.ways import SYMBOLS, Way
from gexcore.evaluation.passes import Passes


def test_every_public_method_is_listed() -> None:
    public = {name for name in gx.__all__ if hasattr(getattr(gx, name), "fit")}
    assert {method.name for method in METHODS} == public
    assert {by_name(name.upper()).name for name in public} == public  # type: ignore[union-attr]
    assert by_name("Shapley") is None


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_entry_is_about_its_class(method: Any) -> None:
    found = gx.Scores if method.kind == "score" else None
    result = typing.get_type_hints(method.cls.fit)["return"]
    assert (result is gx.Scores) == (found is gx.Scores)
    assert method.summary.endswith((".", ":"))
    labels = [method.label(way) for way in method.ways]
    assert len(set(labels)) == len(labels)
    for way in method.ways:
        assert not way.takes or way.takes in method.settings
        assert list(way.needs) == [
            name
            for name, capability in CAPABILITIES.items()
            if capability in made(method, way).needs
        ]
        assert set(way.passes) <= set(Passes._fields)
        symbols = dict.fromkeys(SYMBOLS, 2.0)
        for number in [*way.passes.values(), *([way.trainings] if way.trainings else [])]:
            assert number.value(symbols) > 0


def made(method: Method, way: Way) -> Any:
    """A method of this kind, which nothing is asked of."""
    takes: dict[str, Any] = {
        "checkpoints": [None],
        "recorder": gx.Recorder(1),
        "probabilities": [[1.0]],
        "train": lambda *_: None,
        "ensemble": gx.Geometric(),
        "method": gx.IF(),
    }
    taken = {way.takes: takes[way.takes]} if way.takes else {}
    return method.cls(**taken, **way.settings)


def test_every_flag_has_a_sentence_of_its_docstring() -> None:
    for method in METHODS:
        for name in flagged([method]):
            assert documented(method.cls).get(name), (method.name, name)
    assert documented(gx.GEX)["snapshots"] == documented(gx.Geometric)["snapshots"]
    assert "train" not in flagged()
    assert "checkpoints" not in flagged()


def test_a_setting_without_a_sentence_is_seen() -> None:
    class Bare:
        """Finds nothing.

        Parameters
        ----------
        known : int
            The number of samples. More is slower.
        unknown : int
        """

    class Heir(Bare):
        """Finds less.

        Parameters
        ----------
        known
            Settings of `Bare`.
        """

    assert documented(Heir) == {"known": "The number of samples"}


def test_the_command(run: Any) -> None:
    outcome = run("methods")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split() == [
        "method",
        "kind",
        "needs",
        "of",
        "the",
        "backend",
        "passes",
        "over",
        "the",
        "data",
    ]
    assert any(
        line.startswith("IF() ") and "params, hvp" in line and "p hvp" in line for line in lines
    )
    told = json.loads(run("methods", "--json").out)
    assert [entry["name"] for entry in told] == [method.name for method in METHODS]
    gex = told[0]
    assert gex["settings"]["momentum"] == 0.9
    assert gex["ways"][2]["needs"] == ["donated steps", "training losses"]
    assert (
        "argument --markdown: not allowed with argument --json"
        in run("methods", "--json", "--markdown").err
    )


def test_each_hole_is_explained() -> None:
    everything = dict.fromkeys(CAPABILITIES, True)
    rows = [
        Row("whole", everything),
        Row("poor", everything | {"hvp": False, "logits": False}, limits="it was made so"),
        Row("bare", everything | {"hvp": False}),
        Row("absent", None, "it is not installed"),
    ]
    table, _, told = on_backends(rows).partition("\n\n")
    cells = {
        line.split(" | ")[0].strip("| `"): line.split(" | ")[1:] for line in table.splitlines()[2:]
    }
    assert cells["IF()"] == ["yes", "–", "–", " |"]
    assert cells["Loss()"] == ["yes", "yes", "yes", " |"]
    assert holes(rows[0]) == []
    (poor,) = holes(rows[1])
    assert poor.startswith("`poor`: it was made so (")
    (bare,) = holes(rows[2])
    assert bare.startswith("`bare`: it does not define them (no hvp for `IF()`, `Arnoldi()`, ")
    assert told.splitlines() == [
        f"- {poor}",
        f"- {bare}",
        "- `absent` runs nothing here: it is not installed.",
    ]
    # whatever has a hole is named
    for place, line in ((1, poor), (2, bare)):
        assert {name for name, row in cells.items() if row[place] == "–"} == set(
            re.findall(r"`(\w+\([^`]*\))`", line)
        )
