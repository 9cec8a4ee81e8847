"""What importing the core loads. Import-linter holds what may import what."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gexcore

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
