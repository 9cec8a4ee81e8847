"""`gexcore backends`."""

from __future__ import annotations

import json

import pytest

from gexcore.backend.capabilities import CAPABILITIES
from gexcore.backend.plugins import BackendSpec, hookimpl
from gexcore.backend.registry import BackendRegistry
from gexcore.cli.backends import markdown, rows, table

ABSENT = "backend 'absent' needs no_such_framework, which is not installed; try: pip install 'a[b]'"


class Troubled:
    @hookimpl
    def gexcore_register_backend(self):
        absent = BackendSpec(
            name="absent", factory="x:y", requires=("no_such_framework",), hint="pip install 'a[b]'"
        )
        return [absent, BackendSpec(name="broken", factory="no_such_module:Backend")]


class Explosive:
    @hookimpl
    def gexcore_register_backend(self):
        return BackendSpec(name="explosive", factory="antigravity_bomb:Backend")


@pytest.fixture
def troubled(tmp_path, monkeypatch):
    (tmp_path / "antigravity_bomb.py").write_text("raise SystemError('two\\nlines')\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = BackendRegistry()
    registry.register(Troubled(), "troubled")
    registry.register(Explosive(), "explosive")
    return {row.name: row for row in rows(registry)}


def test_what_cannot_be_used_says_why_and_hides_nothing_else(troubled):
    assert troubled["absent"] == ("absent", None, ABSENT, "")
    assert "cannot be imported (No module named 'no_such_module')" in troubled["broken"].note
    assert troubled["explosive"] == ("explosive", None, "two", "")
    assert list(troubled["numpy"].can) == list(CAPABILITIES)
    assert troubled["numpy"].can["jvp"]
    assert not troubled["numpy"].can["native datasets"]


def test_the_table_is_aligned(troubled):
    lines = table(list(troubled.values())).splitlines()
    header, numpy = lines[0], next(line for line in lines if line.startswith("numpy"))
    assert len(header) == len(numpy)
    for name in CAPABILITIES:
        end = header.index(name) + len(name)
        assert numpy[:end].endswith(("yes", "-"))
    assert f"absent: {ABSENT}" in lines


def test_the_markdown_has_a_cell_for_everything(troubled):
    lines = markdown(list(troubled.values())).splitlines()
    assert {line.count("|") for line in lines} == {len(CAPABILITIES) + 3}
    assert len(lines) == 2 + len(troubled)


def test_the_command(run):
    outcome = run("backends")
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.startswith("backend ")
    assert "\nnumpy " in outcome.out
    assert run("backends", "--markdown").out.startswith("| backend |")


def test_the_table_as_json(run):
    told = json.loads(run("backends", "--json").out)["backends"]
    assert {"numpy", "torch"} <= {row["name"] for row in told}
    assert all(row["can"] is None or "forward" not in row["can"] for row in told)
