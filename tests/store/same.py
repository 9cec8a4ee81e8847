"""What it means that two runs are the same."""

from __future__ import annotations

import numpy as np

import gexcore as gx

TEST = (np.ones((4, 5)), np.arange(4) % 3)


def assert_same(one: gx.LossInfluence, other: gx.LossInfluence) -> None:
    """Equal to the bit: the table, its order, the record of every snapshot, and the kept states."""
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.base_losses, other.base_losses)
    np.testing.assert_array_equal(one.table.chains, other.table.chains)
    assert one.run.snapshots == other.run.snapshots
    assert one.run.passes == other.run.passes
    np.testing.assert_array_equal(one.members.rows, other.members.rows)
    np.testing.assert_array_equal(one.influence(TEST), other.influence(TEST))
    np.testing.assert_array_equal(one.suggested_labels(), other.suggested_labels())
