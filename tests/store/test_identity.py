"""A store takes no other run: not by another model, other data, other code or damaged metadata."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.errors import StoreError, StoreMismatchError
from gexcore_numpy import MLP

QUICK = gx.GEX(chains=1, snapshots=2, lr=0.05, steps_per_snapshot=4, batch_size=16)
X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)
MODEL = MLP.init((3, 4, 2), seed=0)


class Pictures:
    """A dataset of the user's, whose samples are read one by one and shifted at random."""

    def __init__(self, x: Any = X, shift: float = 0.1) -> None:
        self.x, self.shift = x, shift

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Any, /) -> Any:
        return self.x[indices], Y[indices]

    def augmented(self, indices: Any, /, *, seed: int) -> Any:
        noise = np.random.default_rng(seed).normal(size=self.x[indices].shape)
        return self.x[indices] + self.shift * noise, Y[indices]


class Unsteady(Pictures):
    """Its batches are other ones in every call."""

    def batch(self, indices: Any, /) -> Any:
        return X[indices] + 1e-6 * np.random.default_rng().normal(), Y[indices]


def scaled(by: float) -> Callable[[int], float]:
    def schedule(step: int) -> float:
        return by / (1 + step)

    return schedule


def fit(store: Path, model: Any = MODEL, data: Any = None, method: Any = QUICK, **how: Any) -> Any:
    return method.fit(model, data or (X, Y), store=store, progress=False, **how)


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "model": ({}, {"model": replace(MODEL, activation="tanh")}),
    "data": ({"data": Pictures()}, {"data": Pictures(X + 1e-9)}),
    "training data": (
        {"train_data": Pictures()},
        {"train_data": Pictures(X + 1e-9)},
    ),
    "augmentation": ({"data": Pictures()}, {"data": Pictures(shift=0.2)}),
    "test data": ({"test": Pictures()}, {"test": Pictures(2 * X)}),
    "lr": (
        {"method": replace(QUICK, lr=scaled(0.1))},
        {"method": replace(QUICK, lr=scaled(0.2))},
    ),
}


@pytest.mark.parametrize("field", OTHERS)
def test_the_same_goes_on_and_another_is_refused_by_name(field: str, tmp_path: Path) -> None:
    before, now = OTHERS[field]
    fit(tmp_path / "s", **before)
    fit(tmp_path / "s", **before)
    with pytest.raises(StoreMismatchError, match=f"differs in .*{field}"):
        fit(tmp_path / "s", **now)


def test_what_cannot_be_compared_is_said_when_a_run_goes_on(tmp_path: Path) -> None:
    fit(tmp_path / "s", train_data=Unsteady())
    with pytest.warns(UserWarning, match="goes on without comparing the content of train_data"):
        fit(tmp_path / "s", train_data=Unsteady())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("whole") / "s"
    fit(where)
    return where


def test_no_changed_byte_of_the_metadata_makes_a_store_new(whole: Path, tmp_path: Path) -> None:
    """Each change is told, or harmless: the run that goes on is the one that was stored."""
    store = tmp_path / "s"
    shutil.copytree(whole, store)
    content = (store / "zarr.json").read_bytes()
    expected = fit(whole).losses
    rng = np.random.default_rng(0)
    told = 0
    for at in rng.choice(len(content), 120, replace=False).tolist():
        changed = bytearray(content)
        changed[at] ^= 1 << int(rng.integers(7))
        (store / "zarr.json").write_bytes(changed)
        try:
            np.testing.assert_array_equal(fit(store).losses, expected)
        except (StoreError, StoreMismatchError):
            told += 1
            assert (store / "zarr.json").read_bytes() == bytes(changed), "a damaged store changed"
    assert told > 60
    (store / "zarr.json").write_bytes(content)
    np.testing.assert_array_equal(fit(store).losses, expected)


@pytest.mark.parametrize("key", ["run", "format", "gexcore"])
def test_a_store_that_has_lost_what_it_is_of_is_damaged(
    whole: Path, tmp_path: Path, key: str
) -> None:
    shutil.copytree(whole, tmp_path / "s")
    path = tmp_path / "s" / "zarr.json"
    content = json.loads(path.read_text())
    del (content["attributes"] if key == "gexcore" else content["attributes"]["gexcore"])[key]
    path.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"zarr\.json is damaged; put a copy back"):
        fit(tmp_path / "s", method=replace(QUICK, seed=1))
