"""A backend by somebody else: installed from its own folder, found by both routes, held to the kit;
and its tutorial."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pluggy
import pytest

from gexcore.backend.plugins import BackendSpec
from gexcore.backend.registry import BackendRegistry

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests" / "fixtures" / "gexcore_thirdparty"
PAGE = (ROOT / "docs" / "custom_backend.md").read_text()

FILES = dict(re.findall(r"\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)```\n", PAGE, re.DOTALL))
USE, ENTRY_POINT, RUN_TIME, OWN_PROBLEM = (
    code
    for code in re.findall(r"```python\n(.*?)```\n", PAGE, re.DOTALL)
    if code not in FILES.values()
)

hookimpl = pluggy.HookimplMarker("gexcore")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a folder of its own, where building and testing leave no trace here."""
    return Path(shutil.copytree(PROJECT, tmp_path_factory.mktemp("project") / "gexcore_thirdparty"))


@pytest.fixture(scope="module")
def installed(copied: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed it."""
    target = tmp_path_factory.mktemp("installed")
    options = [
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(target),
    ]
    run([sys.executable, "-m", "pip", "install", *options, str(copied)])
    return target


def run(command: list[str], *, path: Path | None = None, folder: Path | None = None) -> str:
    """The output of a process that must succeed, `path` being importable in it."""
    paths = [str(path)] if path else []
    inherited = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths + inherited)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_shows_the_files() -> None:
    files = {
        str(p.relative_to(PROJECT)): p.read_text()
        for p in PROJECT.rglob("*")
        if p.suffix in (".py", ".toml")
    }
    assert files == FILES
    lines = sum(text.count("\n") for text in files.values())
    assert lines <= 120
    assert f"{lines} lines" in PAGE


def test_its_own_tests_run_the_kit(installed: Path, copied: Path) -> None:
    (copied / "tests" / "test_own_problem.py").write_text(f"{USE}\n{OWN_PROBLEM}")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "tests",
    ]
    passed = re.search(r"(\d+) passed, \d+ skipped in", run(command, path=installed, folder=copied))
    assert passed is not None
    assert int(passed.group(1)) > 20


def test_it_is_found_by_its_entry_point(installed: Path, tmp_path: Path) -> None:
    code = f"""{USE}
{ENTRY_POINT}
assert gx.__file__ and "gexcore_tiny" not in gx.__file__
from gexcore.backend.registry import default_registry
assert "tiny" in default_registry().names()
assert default_registry().get("tiny") is TinyBackend
print(influence.suspicion().shape)
"""
    assert (
        run([sys.executable, "-W", "error", "-c", code], path=installed, folder=tmp_path)
        == "(120,)\n"
    )


def test_reading_names_does_not_import_it(installed: Path, tmp_path: Path) -> None:
    code = """
import sys
from gexcore.backend.registry import default_registry
registry = default_registry()
assert "tiny" in registry.names()
assert "gexcore_tiny" not in sys.modules
assert registry.spec("tiny").hint == "pip install gexcore-tiny"
assert "gexcore_tiny.backend" not in sys.modules
"""
    run([sys.executable, "-c", code], path=installed, folder=tmp_path)


@pytest.mark.parametrize("also_installed", [False, True])
def test_it_is_found_when_registered_at_run_time(
    copied: Path, installed: Path, also_installed: bool, tmp_path: Path
) -> None:
    code = f"""{USE}
from importlib.metadata import entry_points
assert bool(entry_points(group="gexcore.backends", name="tiny")) is {also_installed}
{RUN_TIME}
{ENTRY_POINT}
default_registry().unregister("tiny")
"""
    run(
        [sys.executable, "-W", "error", "-c", code],
        path=installed if also_installed else copied,
        folder=tmp_path,
    )


class TinyPlugin:
    """As the project's, with something changed."""

    def __init__(self, **changes: Any) -> None:
        tiny = BackendSpec(
            name="tiny", factory="gexcore_tiny.backend:TinyBackend", hint="pip install gexcore-tiny"
        )
        self.spec = replace(tiny, **changes)

    @hookimpl
    def gexcore_register_backend(self) -> BackendSpec:
        return self.spec


class Misspelt:
    """A plugin whose hook has another name."""

    @hookimpl
    def gexcore_register_backends(self) -> None: ...


# as it would be called at the top of a script
Misspelt.__module__, Misspelt.__qualname__ = "builtins", "Misspelt"


class Unstoppable:
    """A backend without restart."""

    name = "tiny"

    def initial_state(self) -> Any: ...
    def forward(self, state: Any, batch: Any, /) -> Any: ...
    def sgd_step(self, state, batch, /, *, lr, seed): ...  # type: ignore[no-untyped-def]


class Unseeded(Unstoppable):
    """A backend whose steps take no seed."""

    def restart(self, state: Any, /) -> Any: ...
    def sgd_step(self, state, batch, /, *, lr): ...  # type: ignore[no-untyped-def]


def register_two(registry: BackendRegistry) -> None:
    registry.register(TinyPlugin(), "tiny")
    registry.register(TinyPlugin(), "tiny")


def get(name: str, **changes: Any) -> Callable[[BackendRegistry], object]:
    def act(registry: BackendRegistry) -> object:
        registry.register(TinyPlugin(**changes), "tiny")
        return registry.get(name)

    return act


MISTAKES: dict[str, Callable[[BackendRegistry], object]] = {
    "no backend named": get("tny"),
    "needs tinyframework": get("tiny", requires=("tinyframework",)),
    "cannot be imported": get("tiny", factory="gexcore_tiny.nowhere:TinyBackend"),
    "has no method restart": get("tiny", factory=f"{__name__}:Unstoppable"),
    "cannot be called as": get("tiny", factory=f"{__name__}:Unseeded"),
    "unknown hook": lambda registry: registry.register(Misspelt, "tiny"),
    "is claimed by": lambda registry: registry.get("tiny"),
    "in use already": register_two,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_page_quotes_every_error(
    mistake: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEXCORE_DISABLE_BACKENDS", "torch,jax,tensorflow,sklearn")
    monkeypatch.syspath_prepend(PROJECT)
    if mistake == "is claimed by":
        for distribution in ("gexcore-tiny", "other-tiny"):
            info = tmp_path / f"{distribution.replace('-', '_')}-0.1.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1\n"
            )
            (info / "entry_points.txt").write_text(
                "[gexcore.backends]\ntiny = gexcore_tiny.plugin\n"
            )
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Exception, match=mistake) as caught:
        MISTAKES[mistake](BackendRegistry())
    quoted = [
        " ".join(part.replace("\n>", "").split())
        for part in re.findall(r"^> (.*?)\n\n", PAGE, re.S | re.M)
    ]
    assert str(caught.value) in quoted
    assert len(quoted) == len(MISTAKES)
