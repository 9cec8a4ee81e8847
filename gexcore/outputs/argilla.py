"""Suspects as records for review in Argilla."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gexcore._version import __version__
from gexcore.outputs.columns import arrays_of, check_length, class_name


def argilla_records(
    columns: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    indices: Any,
    *,
    question: str = "label",
    class_names: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """One plain dict per sample of `indices`, in order, which ``argilla.Record.from_dict`` reads.

    Parameters
    ----------
    columns : mapping of arrays, or DataFrame
        Columns of `Influence.columns`. `to_frame` gives them with your own labels.
    samples : sequence of mappings
        Fields of every sample, with the names of the settings in Argilla: ``{"text": …}``.
    indices : integer array
        Positions of samples to review, such as ``influence.suspects().indices``.
    question : str
        Name of the label question in the settings.
    class_names : sequence of str, optional
        Names of the classes 0 … K − 1. The default is these numbers.

    Returns
    -------
    list of dict
        The suggested label is a suggestion. Position, suspicion (high = suspicious) and the given
        label are metadata.

    Raises
    ------
    InvalidDataError
        If samples and scores differ in number, or a class has no name.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.outputs import argilla_records
    >>> columns = {
    ...     "index": np.arange(1), "label": np.array([0]), "suspicion": np.array([2.5]),
    ...     "suspect": np.array([True]), "suggested_label": np.array([1]),
    ... }
    >>> (record,) = argilla_records(columns, [{"text": "woof"}], [0], class_names=["cat", "dog"])
    >>> record["fields"], record["suggestions"]["label"]["value"]
    ({'text': 'woof'}, 'dog')
    """
    found = arrays_of(columns)
    check_length(len(samples), len(found["index"]))
    records = []
    for i in np.asarray(indices, np.intp).tolist():
        metadata: dict[str, Any] = {"index": i, "suspicion": float(found["suspicion"][i])}
        if found["label"][i] is not None:
            metadata["given_label"] = class_name(found["label"][i], class_names)
        suggested = found["suggested_label"][i] if "suggested_label" in found else None
        record: dict[str, Any] = {
            "id": str(i),
            "fields": dict(samples[i]),
            "metadata": metadata,
            "suggestions": {},
        }
        if suggested is not None:
            record["suggestions"][question] = {
                "value": class_name(suggested, class_names),
                "agent": f"gexcore {__version__}",
            }
        records.append(record)
    return records
