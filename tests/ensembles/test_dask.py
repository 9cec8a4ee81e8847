"""Dask: two worker processes, one of which is killed in the middle of a chain."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client, LocalCluster

import gexcore as gx
from gexcore.backend.data import ArrayDataset

GEX = gx.GEX(chains=4, snapshots=4, lr=0.05, steps_per_snapshot=6, batch_size=16, keep=2)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path),
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


class Lethal(ArrayDataset):
    """Kills the process that asks for its 30th batch, unless one was killed before or it is the
    process of the tests."""

    def __init__(self, data: Any, mark: Path) -> None:
        super().__init__(*data)
        self.mark = mark
        self.spared = os.getpid()
        self.asked = 0

    def batch(self, indices: Any, /) -> Any:
        self.asked += 1
        if self.asked == 30 and os.getpid() != self.spared:
            try:
                os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().batch(indices)


def test_a_killed_worker_changes_no_bit(client: Client, problem: Any, tmp_path: Path) -> None:
    model, data = problem
    expected = GEX.fit(model, data, progress=False)
    mark = tmp_path / "killed"
    before = set(client.scheduler_info()["workers"])
    found = GEX.fit(model, Lethal(data, mark), executor=client.get_executor(), progress=False)
    assert mark.exists(), "no worker was killed"
    np.testing.assert_array_equal(found.losses, expected.losses)
    np.testing.assert_array_equal(found.suspicion(), expected.suspicion())
    assert found.run.snapshots == expected.run.snapshots
    np.testing.assert_array_equal(found.influence(data), expected.influence(data))
    assert len(before) == 2
