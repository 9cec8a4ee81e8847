"""Results: the one contract of all that a fit returns."""

from __future__ import annotations

import html
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
from gexcore.influence.packed import packed, restored, write_packed
from gexcore.influence.record import Run
from gexcore.report import LIMIT, write_report
from gexcore.report.audit import Audit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

DIMENSIONS = {"chains": ("member",), "losses": ("member", "sample"), "base_losses": ("sample",)}
"""Dimensions of the further arrays of a result."""


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
        return pd.DataFrame(self._named_columns(), index=self.run.names.index)

    def _named_columns(self) -> dict[str, NDArray[Any]]:
        """`columns` with the user's own labels."""
        names, columns = self.run.names, self.columns()
        if self.labels is not None:
            for name in ("label", "suggested_label"):
                if name in columns and columns[name].dtype.kind in "iu":
                    columns[name] = names.of(columns[name])
        return columns

    def to_xarray(self) -> xr.Dataset:
        """`columns` along the dimension ``sample``, and further arrays (extra ``xarray``).

        Losses of members have the dimensions ``member`` and ``sample``. Labels are the user's own.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        try:
            import xarray as xr
        except ImportError as error:
            msg = f"a dataset needs xarray ({error}); try: pip install 'gexcore[xarray]'"
            raise MissingExtraError(msg) from error
        found = self._named_columns()
        index = found.pop("index") if self.run.names.index is None else self.run.names.index
        columns = {
            name: ("sample", np.asarray(column))
            for name, column in found.items()
            if any(cell is not None for cell in column[:1])
        }
        tables = {
            name: (DIMENSIONS[name], array)
            for name, array in self.tables().items()
            if name in DIMENSIONS
        }
        told = {"method": self.run.method, "backend": self.run.backend}
        return xr.Dataset({**columns, **tables}, {"sample": np.asarray(index)}, told)

    def tables(self) -> dict[str, NDArray[Any]]:
        """Further arrays that a saved result keeps, such as the losses of members."""
        return {}

    def save(self, path: str | Path) -> None:
        """Write everything but the model to a new .npz file, which `gexcore.load` reads.

        Parameters
        ----------
        path : str or Path
            A new file. It holds arrays and JSON, no pickle.

        Raises
        ------
        OutputExistsError, InvalidSettingError
            If the path exists, or no file can be made there.
        """
        write_packed(Path(path), packed(self))

    def __reduce__(self) -> Any:
        """A pickle holds the same as a file of `save`, and comes back as `Saved`."""
        return restored, (packed(self),)

    def _repr_html_(self) -> str:
        """A small table for notebooks. It computes nothing."""
        run = self.run
        cells = {
            "method": run.method,
            "backend": run.backend,
            "samples": f"{run.samples:,}",
            "seconds": f"{run.seconds:.1f}",
        }
        rows = "".join(
            f"<tr><th>{name}</th><td>{html.escape(cell)}</td></tr>" for name, cell in cells.items()
        )
        said = html.escape(repr(self).strip("<>"))
        return f"<table>{rows}<tr><td colspan=2>{said}</td></tr></table>"

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
