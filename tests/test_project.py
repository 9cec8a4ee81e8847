"""What the project says of itself: groups of packages, the lowest versions, links."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import gexcore

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def listed(file: str) -> list[str]:
    """The lines of a file of requirements."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def in_group(name: str) -> set[str]:
    """The packages of a group, and of the groups that it includes."""
    found: set[str] = set()
    for entry in PROJECT["dependency-groups"][name]:
        found |= {entry} if isinstance(entry, str) else in_group(entry["include-group"])
    return found


def test_the_test_command_installs_the_test_group():
    # pip takes groups from 25.1 on only, so the command reads a file
    differ = set(listed("tests/requirements.txt")) ^ in_group("test")
    assert not differ, "name these in tests/requirements.txt and in a group of pyproject.toml"


def test_every_package_of_a_group_is_pinned():
    pinned = {
        re.sub("[-_.]+", "-", line.split("==")[0]).lower() for line in listed("constraints.txt")
    }
    assert {name.lower() for name in in_group("test")} <= pinned


def test_the_lowest_environment_pins_every_lower_bound():
    pins = dict(line.split("==") for line in listed("tests/lowest.txt"))
    features = PROJECT["tool"]["hatch"]["envs"]["lowest"]["features"]
    wanted = PROJECT["project"]["dependencies"] + [
        need for name in features for need in EXTRAS[name]
    ]
    for need in wanted:
        name, _, bound = need.partition(">=")
        assert name in pins, f"add {name}=={bound}, the lowest version, to tests/lowest.txt"
        pin = [part.rstrip("0") or "0" for part in (pins[name] + ".0.0").split(".")[:3]]
        assert pin == [part.rstrip("0") or "0" for part in (bound + ".0.0").split(".")[:3]], name


def test_full_is_all_without_the_test_tools():
    assert EXTRAS["all"] == ["gexcore[full,testing]"]
    held = set(re.findall(r"\w+", EXTRAS["full"][0])) - {"gexcore"}
    assert held == EXTRAS.keys() - {"testing", "full", "all"}


def test_dir_shows_public_names_only():
    assert set(dir(gexcore)) == {*gexcore.__all__, "__version__"}


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_links_of_the_readme_work_on_a_package_index(link):
    source = PROJECT["project"]["urls"]["Source"]
    found = re.fullmatch(rf"{re.escape(source)}/(blob|raw)/main/(.+)", link)
    assert found is not None
    assert (ROOT / found[2]).exists()


def test_the_readme_is_short():
    assert len(README.splitlines()) < 120
