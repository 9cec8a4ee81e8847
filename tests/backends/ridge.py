"""Influence for retraining on any backend: helps its own class, and answers for all members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gexcore as gx


def check_ridge(train: Callable[..., Any]) -> None:
    """Fit `GEX.for_influence` to three clouds, and ask it for influence on new samples."""
    rng = np.random.default_rng(7)
    centres = 2.0 * rng.normal(size=(3, 5))
    y, new_y = np.arange(90) % 3, np.arange(9) % 3
    x = (centres[y] + rng.normal(size=(90, 5))).astype(np.float32)
    new = (centres[new_y] + rng.normal(size=(9, 5))).astype(np.float32), new_y
    model = train(x, y, classes=3, seed=0)
    method = gx.GEX.for_influence(budget=80, anchor_steps=8)
    found = method.fit(model, (x, y), test=new, progress=False)
    values = found.influence()
    assert values.shape == (9, 90)
    assert np.isfinite(values).all()
    same = new_y[:, None] == y[None]
    assert values[same].mean() > max(0.0, values[~same].mean())
    assert len(found.members.rows) == len(found.table) >= 8
    np.testing.assert_allclose(found.influence(new), values, rtol=1e-3, atol=1e-4 * values.std())
    assert "ridge over members" in repr(found)
