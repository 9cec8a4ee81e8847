"""The site builds without a warning, and its first page runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, in a folder of its own."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, out],
        capture_output=True,
        encoding="utf-8",
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    seen, left = set(), [site / "index.html"]
    while left:
        page = left.pop().resolve()
        if page in seen:
            continue
        seen.add(page)
        links = re.findall(r'href="([^"#:]+\.html)', page.read_text(encoding="utf-8"))
        left += [page.parent / link for link in links]
    found = {path.relative_to(site).with_suffix("").as_posix() for path in seen}
    sources = (path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md"))
    assert {path.as_posix() for path in sources if path.parts[0] != "_build"} <= found


def test_the_bar_has_the_sections(site: Path) -> None:
    page = (site / "how-to" / "budget.html").read_text(encoding="utf-8")
    sections = ["Start", "Tutorials", "How-to", "Concepts", "Reference", "Evidence", "Project"]
    links = re.findall(r'<a class="nav-link[^>]*>\s*([\w-]+)\s*</a>', page)
    assert links[: len(sections)] == sections


def test_the_reference_has_every_public_name_and_command(site: Path) -> None:
    import gexcore
    from gexcore.cli import COMMANDS

    names = (site / "reference" / "names.html").read_text(encoding="utf-8")
    assert [name for name in gexcore.__all__ if f'id="gexcore.{name}"' not in names] == []
    commands = (site / "reference" / "command_line.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"gexcore {name}" not in commands] == []


def test_the_first_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    page = (DOCS / "start.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    wrong, worst = names["wrong"], names["worst"]
    assert wrong[worst].mean() > 0.9  # type: ignore[index]
    assert (tmp_path / "audit.html").stat().st_size > 10_000
