"""PyTorch in worker processes, and models that torch.distributed has wrapped or cut into pieces."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

import gexcore as gx
from gexcore.errors import InvalidModelError

METHOD = gx.GEX(
    chains=2, snapshots=3, lr=0.05, steps_per_snapshot=4, batch_size=16, optimizer="adamw"
)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3)
    )


@pytest.fixture
def data() -> Any:
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 4)).astype(np.float32), np.arange(48) % 3


def test_spawned_processes_give_the_serial_bits(model: nn.Module, data: Any) -> None:
    expected = METHOD.fit(model, data, progress=False)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        found = METHOD.fit(model, data, executor=executor, progress=False)
    np.testing.assert_array_equal(found.losses, expected.losses)
    np.testing.assert_array_equal(found.influence(data), expected.influence(data))


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A real process group, of one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_ddp_is_taken_off(model: nn.Module, data: Any) -> None:
    expected = METHOD.fit(model, data, progress=False)
    wrapped = nn.parallel.DistributedDataParallel(model)
    np.testing.assert_array_equal(METHOD.fit(wrapped, data, progress=False).losses, expected.losses)


@pytest.mark.usefixtures("group")
def test_sharded_parameters_are_refused(model: nn.Module, data: Any) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
    with pytest.raises(InvalidModelError, match=r"torch\.distributed.*get_model_state_dict"):
        METHOD.fit(model, data, progress=False)
