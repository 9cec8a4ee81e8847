"""Results: the one contract of all that a fit returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.protocols import Backend, Dataset
from gexcore.decisions.threshold import Suspects, ThresholdMethod
from gexcore.deviations.ranking import Top
from gexcore.errors import MissingExtraError
from gexcore.influence.record import Run
from gexcore.report import LIMIT, write_report
from gexcore.report.audit import Audit

if TYPE_CHECKING:
    import pandas as pd


class Result(ABC):
    """Scores of the samples of one training set, in the data's order.

    A result has the record ``run`` of its fit, and the given ``labels``: integer classes of shape
    (samples,), or None.
    """

    run: Run
    labels: NDArray[np.intp] | None

    @abstractmethod
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `scores.csv`, one row per sample in the data's order."""

    @abstractmethod
    def ranking(self, k: int | None = None) -> NDArray[np.intp]:
        """Positions of the samples, or of the first `k`, most suspicious first."""

    @abstractmethod
    def suspects(self, method: ThresholdMethod = "auto", *, rate: float | None = None) -> Suspects:
        """Samples above a threshold that is found from the scores. The threshold may refuse."""

    @property
    @abstractmethod
    def threshold_on(self) -> str:
        """The quantity that thresholds are on, in words."""

    def so_far(self) -> Run:
        """The record of the fit, with the cost of later questions."""
        return self.run

    def record(self) -> dict[str, Any]:
        """The content of `run.json`, in plain values."""
        return self.so_far().to_dict()

    def to_dict(self) -> dict[str, float]:
        """The numbers that sum up the run, for an experiment tracker such as MLflow or W&B.

        Returns
        -------
        dict
            Names and finite numbers: ``samples``, ``suspects``, ``suspect_share``, ``seconds``,
            ``forward_passes`` (over the data), and where they exist ``threshold``, ``members``,
            ``reliability``, ``noise_rate`` with its ends ``noise_rate_low`` and
            ``noise_rate_high``, and the number of ``findings``.

        Examples
        --------
        ::

            mlflow.log_metrics(influence.to_dict())
            wandb.log(influence.to_dict())
        """
        found, run = self.suspects(), self.so_far()
        values = {
            "samples": float(run.samples),
            "suspects": float(len(found.indices)),
            "suspect_share": len(found.indices) / run.samples,
            "threshold": np.nan if found.threshold.value is None else found.threshold.value,
            "seconds": run.seconds,
            "forward_passes": run.passes.epochs(run.samples),
            **({"members": float(len(run.members()))} if run.snapshots else {}),
            **self._numbers(),
        }
        return {name: float(value) for name, value in values.items() if np.isfinite(value)}

    def _numbers(self) -> dict[str, float]:
        """More numbers for `to_dict`. One that is not known may be NaN."""
        return {}

    def to_frame(self) -> pd.DataFrame:
        """`columns` as a pandas frame (extra ``report``).

        Labels are the user's own. The index is that of the user's table, if a table was given.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            msg = f"a frame needs pandas ({error}); try: pip install 'gexcore[report]'"
            raise MissingExtraError(msg) from error
        names, columns = self.run.names, self.columns()
        if self.labels is not None:
            for name in ("label", "suggested_label"):
                if name in columns and columns[name].dtype.kind in "iu":
                    columns[name] = names.of(columns[name])
        return pd.DataFrame(columns, index=names.index)

    def report(
        self,
        path: str | Path,
        *,
        data: Any = None,
        renderer: Callable[[Any], Any] | None = None,
        class_names: Sequence[str] | None = None,
        title: str | None = None,
        limit: int = LIMIT,
        force: bool = False,
    ) -> Path:
        """Write one self-contained HTML page to review the suspects with (extra ``report``).

        Parameters
        ----------
        path : str or Path
        data : data, or a list or array of samples, optional
            Items to show instead of the training set, such as its texts: one per sample, in order.
        renderer : callable, optional
            Function from a sample to what the page shows: a text, a picture (array or PIL) or a
            dict of values. Not needed if the samples already have such a form.
        class_names : sequence of str, optional
        title : str, optional
        limit : int
            The most samples to list, highest score first. The histogram and all counts use all
            samples.
        force : bool
            Whether to overwrite an existing file.

        Returns
        -------
        Path
            Path of the page.

        Raises
        ------
        OutputExistsError
            If the file exists.
        InvalidDataError
            If the number of samples or classes differs, or a sample cannot be shown. Nothing is
            written.
        MissingExtraError
        """
        own, backend = self._shown()
        audit = Audit.of(self.columns(), self.suspects().threshold, self.record())
        return write_report(
            audit,
            path,
            data=own if data is None else data,
            backend=backend,
            renderer=renderer,
            class_names=class_names,
            title=title,
            limit=limit,
            force=force,
            remarks=self._remarks(),
            related=self.related,
        )

    def _shown(self) -> tuple[Dataset[Any] | None, Backend[Any, Any] | None]:
        """The samples of a page and their backend, or None."""
        return None, None

    def related(self, positions: NDArray[np.intp], k: int) -> Top | None:
        """The training samples most related to these samples, for "Why this one" on the page.

        Parameters
        ----------
        positions : integer array
            Positions of training samples.
        k : int
            Number of proponents and of opponents. A sample may be its own proponent.

        Returns
        -------
        Top or None
            A positive value means that training on a sample helps the given label. None if the
            result has no influence from losses of members.
        """
        return None

    def _remarks(self) -> list[str]:
        """Sentences for the page."""
        return []
