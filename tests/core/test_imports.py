"""The core imports no framework, neither when it is loaded nor anywhere in its source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gexcore

FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow", "keras", "sklearn", "pandas", "matplotlib", "datasets", "scipy"}
TEST_TOOLS = {"pytest", "hypothesis", "array_api_strict"}
PACKAGE = Path(gexcore.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
LAZY = {
    "cli": {"sklearn", "pandas", "matplotlib"},
    "influence.py": {"pandas"},
    "outputs": {"pandas"},
    "plots.py": {"matplotlib"},
    "scores": {"pandas"},
}
"""What a folder or module may import inside its functions: packages of an extra."""


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after one statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import gexcore",
        "import gexcore.intake, gexcore.estimators.gex, gexcore.ensembles.geometric, gexcore.decisions.threshold",
        "from gexcore.registry import default_registry\ndefault_registry().names()",
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
        "from gexcore.registry import default_registry\n"
        "assert default_registry().find(MLP([np.zeros((2, 2))], [np.zeros(2)])) == 'numpy'"
    )
    assert not loaded & (FRAMEWORKS | TEST_TOOLS)


def test_the_probe_sees_what_is_imported() -> None:
    assert {"pytest", "hypothesis"} <= loaded_after("import gexcore.testing.checks")


def imports(tree: ast.AST, *, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Top-level names that a module imports, and whether inside a function; type-only imports are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide what a module depends on"
            yield (node.module or "").partition(".")[0], inside
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, inside=inside or function)


def allowed(module: str, name: str, *, inside: bool) -> bool:
    """Whether a module of gexcore may import this package in this place."""
    if module.startswith("testing/"):
        return name not in FRAMEWORKS
    extras = LAZY.get(module.partition("/")[0], set()) if inside else set()
    return name in extras or not (name in FRAMEWORKS | TEST_TOOLS or name.startswith("gexcore_"))


@pytest.mark.parametrize("module", MODULES)
def test_the_source_imports_no_framework(module: str) -> None:
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    refused = [name for name, inside in imports(tree) if not allowed(module, name, inside=inside)]
    assert not refused


def test_the_source_check_tells_places_apart() -> None:
    source = "import torch\ndef f():\n    import pandas.io\nif TYPE_CHECKING:\n    import jax"
    found = list(imports(ast.parse(source)))
    assert found == [("torch", False), ("pandas", True)]
    assert [allowed("influence.py", name, inside=inside) for name, inside in found] == [False, True]
    assert not allowed("influence.py", "pandas", inside=False)
    assert not allowed("data.py", "pandas", inside=True)
    assert not allowed("registry.py", "gexcore_torch", inside=True)


def test_every_public_name_is_found_when_asked_for_and_no_other() -> None:
    import gexcore

    for name in gexcore.__all__:
        assert getattr(gexcore, name).__name__ == name
        assert name in dir(gexcore)
    with pytest.raises(AttributeError, match="has no attribute 'GEXX'"):
        gexcore.GEXX  # noqa: B018
