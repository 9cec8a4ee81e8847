"""The form of the methods that draw an ensemble: one way to be fitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar

from gexcore.evaluation.given import together
from gexcore.evaluation.opening import Opened, opened
from gexcore.store import Place

Fitted = TypeVar("Fitted", covariant=True)


class EnsembleMethod(ABC, Generic[Fitted]):
    """A method that draws members around a trained model."""

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
        store: Place = None,
        executor: Executor | None = None,
        progress: bool = True,
    ) -> Fitted:
        """Score the training set of a trained model.

        Parameters
        ----------
        model : native model or Backend
            Trained model, which is never changed.
        data : x, (x, y), table, mapping, list of samples, native dataset, or Dataset
            Training samples that are scored.
        y : array of labels, optional
            Targets, where `data` is x alone. Labels that are no numbers are numbered in sorted
            order; results show them as they were given.
        label : str, optional
            Column of the labels, where `data` is a data frame, a mapping, or a dataset of mappings.
        inputs : str or sequence of str, optional
            Columns that are inputs of the model. All others by default.
        collate_fn : callable, optional
            Function from a list of samples to a batch, such as one that pads texts.
        train_data : same forms, optional
            The same samples, in the same order, through the training's augmentation.
        loss : str or callable, optional
            A name such as "cross_entropy" (the default), "squared_error" or
            "binary_cross_entropy", or the framework's own loss without reduction.
        test : same forms, optional
            Other samples for `Influence.influence`.
        backend : str, optional
            Name of the backend, needed only if the model's type leaves a choice.
        store : path or fsspec URL, optional
            Place where the run is stored. After a stop, the same call continues from there. It is a
            Zarr group (`gexcore.store`) and needs ``gexcore[store]``.
        executor : concurrent.futures.Executor, optional
            Executor of the chains: threads, processes, loky, Dask, MPI. The caller makes it and
            shuts it down. The scores have the same bits.
        progress : bool
            Whether to show a bar on standard error.

        Raises
        ------
        InvalidDataError, InvalidModelError, InvalidSettingError
            If an input is wrong. Raised before any work beyond one pass over the data.
        AllMembersDivergedError
            If no member has finite losses.
        StoreError, StoreMismatchError
            If the store cannot be written, is damaged or in use, or holds another run.
        WorkerLostError
            If a worker of the executor died.
        """
        given = opened(
            model,
            together(data, y, label, inputs, collate_fn),
            train_data=train_data,
            test=test,
            loss=loss,
            backend=backend,
            progress=progress,
        )
        return self.fit_opened(given, store=store, executor=executor)

    @abstractmethod
    def fit_opened(
        self, given: Opened, *, store: Place = None, executor: Executor | None = None
    ) -> Fitted:
        """Fit the method to a model and data that are already opened."""
