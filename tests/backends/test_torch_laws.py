"""The core's arithmetic on PyTorch's tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gexcore.backend.data import to_numpy
from gexcore.testing import laws
from gexcore.testing.decision_laws import check_otsu_laws
from gexcore.testing.ridge_laws import check_ridge_laws


@pytest.mark.parametrize(
    "check",
    [
        laws.check_gram_laws,
        laws.check_weight_laws,
        laws.check_bounds,
        check_otsu_laws,
        check_ridge_laws,
    ],
)
def test_laws(check: Any) -> None:
    check(torch)


def test_a_tensor_in_a_gradient_graph_comes_to_the_host() -> None:
    losses = torch.arange(3.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(losses)
    np.testing.assert_array_equal(to_numpy(losses), [0.0, 1.0, 2.0])
