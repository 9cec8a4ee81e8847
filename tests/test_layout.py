"""What importing the core loads. Import-linter holds what may import what."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gexcore

ROOT = Path(__file__).parents[1]
FRAMEWORKS = {
    "torch",
    "jax",
    "jaxlib",
    "tensorflow",
    "keras",
    "sklearn",
    "pandas",
    "matplotlib",
    "datasets",
    "scipy",
}
TEST_TOOLS = {"pytest", "hypothesis", "array_api_strict"}


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after one statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import gexcore",
        "import gexcore.evaluation.opening, gexcore.estimators.gex, gexcore.ensembles.chain, "
        "gexcore.decisions.threshold",
        "from gexcore.backend.registry import default_registry\ndefault_registry().names()",
    ],
)
def test_loading_the_core_loads_no_framework_and_no_plugin(statement: str) -> None:
    loaded = loaded_after(statement)
    assert "gexcore" in loaded
    assert not loaded & (FRAMEWORKS | TEST_TOOLS)
    assert not {name for name in loaded if name.startswith("gexcore_")}


def test_finding_the_backend_of_a_model_loads_no_framework() -> None:
    # the model's own package is loaded by whoever made the model
    loaded = loaded_after(
        "import numpy as np\n"
        "from gexcore_numpy import MLP\n"
        "from gexcore.backend.registry import default_registry\n"
        "assert default_registry().find(MLP([np.zeros((2, 2))], [np.zeros(2)])) == 'numpy'"
    )
    assert not loaded & (FRAMEWORKS | TEST_TOOLS)


def test_the_probe_sees_what_is_imported() -> None:
    assert {"pytest", "hypothesis"} <= loaded_after("import gexcore.testing.checks")


def test_every_public_name_is_found_when_asked_for_and_no_other() -> None:

    for name in gexcore.__all__:
        assert getattr(gexcore, name).__name__ == name
        assert name in dir(gexcore)
    with pytest.raises(AttributeError, match="has no attribute 'GEXX'"):
        gexcore.GEXX  # noqa: B018


def run_at_root(*command: str) -> subprocess.CompletedProcess[str]:
    """A Python module, run at the root of the repository."""
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_the_picture_of_the_architecture_is_that_of_the_code() -> None:
    done = run_at_root("bench.architecture", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_is_explained_and_drawn() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    picture = (ROOT / "docs/architecture.svg").read_text(encoding="utf-8")
    for path in (ROOT / "gexcore").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f"`{path.name}`" in page
            assert f">{path.name}</text>" in picture


LONGEST = 300
"""The most lines of a module."""


def too_long(folder: Path) -> list[str]:
    """Modules in a folder with more lines than are allowed."""
    return [
        path.name
        for path in sorted(folder.rglob("*.py"))
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST
    ]


@pytest.mark.parametrize("folder", ["gexcore", "backends"])
def test_no_module_is_too_long(folder: str) -> None:
    assert too_long(ROOT / folder) == []


def test_a_longer_module_is_found(tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text("x = 1\n" * LONGEST)
    (tmp_path / "long.py").write_text("x = 1\n" * (LONGEST + 1))
    assert too_long(tmp_path) == ["long.py"]


def test_the_backends_have_the_modules_that_the_page_says() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Inside a backend")[2].partition("## ")[0]
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    header, _, *modules = rows
    assert len(modules) > 10
    for name, _, *has in modules:
        for backend, told in zip(header[2:], has, strict=True):
            folder = f"backends/gexcore_{'torch' if backend == 'PyTorch' else backend.lower()}"
            assert (ROOT / folder / f"{name}.py").exists() == (told == "yes"), (name, backend)


@pytest.mark.parametrize(
    ("importer", "line", "contract"),
    [
        ("deviations/table.py", "from gexcore.estimators.gex import GEX", "Imports go down"),
        ("backend/data.py", "import torch", "The core imports no framework"),
        (
            "deviations/equation.py",
            "from gexcore.deviations.table import LossTable",
            "No circle between the modules of a folder",
        ),
    ],
)
def test_a_reversed_import_breaks_its_contract(
    tmp_path: Path, importer: str, line: str, contract: str
) -> None:
    for name in ("gexcore", *(path.name for path in (ROOT / "backends").glob("gexcore_*"))):
        source = ROOT / name if name == "gexcore" else ROOT / "backends" / name
        shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "gexcore" / importer).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    broken = [told for told in done.stdout.splitlines() if " BROKEN" in told]
    assert [told.startswith(contract) for told in broken] == [True], done.stdout
