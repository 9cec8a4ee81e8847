"""Methods in the last layer only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gexcore.backend.protocols import SupportsSelection
from gexcore.errors import InvalidSettingError
from gexcore.evaluation.given import together
from gexcore.evaluation.opening import Opened, opened
from gexcore.evaluation.selection import last_layer


@dataclass(frozen=True)
class LastLayer:
    """Any method in the last layer only: a large model becomes a small one.

    Parameters
    ----------
    method : estimator
        Method with a setting ``parameters``, which this class fills in.

    Examples
    --------
    >>> import numpy as np
    >>> import gexcore as gx
    >>> from gexcore_numpy import MLP
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> model = MLP.init((2, 50, 2), seed=0)
    >>> data = x, (x[:, 0] > 0).astype(int)
    >>> found = gx.LastLayer(gx.IF(damping=0.1)).fit(model, data, progress=False)
    >>> found.run.chosen["parameters"]
    102
    """

    method: Any

    def __post_init__(self) -> None:
        kind = self.method if isinstance(self.method, type) else None
        if kind is not None:
            raise InvalidSettingError(
                f"method is the class {kind.__name__}; give a method, such as {kind.__name__}()"
            )
        if "parameters" not in getattr(self.method, "__dataclass_fields__", {}):
            name = type(self.method).__name__
            msg = (
                f"LastLayer takes a method with the setting parameters, and {name} has none; "
                "wrap one such as IF or GEX"
            )
            raise InvalidSettingError(msg)

    @property
    def needs(self) -> tuple[type, ...]:
        """Capabilities it asks of the backend before any work."""
        return (SupportsSelection, *self.method.needs)

    def fit(
        self,
        model: Any,
        data: Any = None,
        y: Any = None,
        *,
        label: str | None = None,
        inputs: str | Sequence[str] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        train_data: Any = None,
        loss: str | Callable[..., Any] | None = None,
        test: Any = None,
        backend: str | None = None,
        progress: bool = True,
        **more: Any,
    ) -> Any:
        """The result of the method's own `fit`; `more` are arguments that it takes beside these."""
        given = opened(
            model,
            together(data, y, label, inputs, collate_fn),
            train_data=train_data,
            loss=loss,
            test=test,
            backend=backend,
            progress=progress,
        )
        return self.fit_opened(given, **more)

    def fit_opened(self, given: Opened, **more: Any) -> Any:
        """Fit the method to a model and data that are already opened."""
        chosen = replace(self.method, parameters=tuple(last_layer(given.backend)))
        return chosen.fit_opened(given, **more)
