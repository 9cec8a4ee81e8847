"""The framework of this process, and its nets."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from bench.nets.case import Case
from bench.studies.rows import FRAMEWORKS
from gexcore.backend.data import to_numpy

NETS = {"dense": "dense", "conv": "conv + BatchNorm", "encoder": "transformer encoder"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--framework", choices=FRAMEWORKS, default="numpy")
    parser.addoption("--net", choices=NETS, help="one only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of nets are there for each net of the framework, the others with NumPy only."""
    framework = metafunc.config.getoption("framework")
    if "case" in metafunc.fixturenames:
        one = "dense" if framework in ("numpy", "sklearn") else metafunc.config.getoption("net")
        nets = [NETS[one]] if one else NETS.values()
        metafunc.parametrize("case", nets, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("framework") != "numpy":
        items[:] = [item for item in items if "case" in getattr(item, "fixturenames", ())]


@pytest.fixture(scope="session")
def cases(request: pytest.FixtureRequest) -> dict[str, Case]:
    nets = import_module(f"bench.nets.on_{request.config.getoption('framework')}")
    return {case.name: case for case in nets.cases()}


@pytest.fixture(scope="session")
def case(request: pytest.FixtureRequest, cases: dict[str, Case]) -> Case:
    return cases[request.param]


@pytest.fixture(scope="session")
def given(cases: dict[str, Case]) -> dict[str, np.ndarray]:
    """Losses by hand of the new nets, because steps by hand move the averages of BatchNorm."""
    return {name: to_numpy(case.forward()) for name, case in cases.items()}


@pytest.fixture
def losses(given: dict[str, np.ndarray], case: Case) -> np.ndarray:
    return given[case.name]
