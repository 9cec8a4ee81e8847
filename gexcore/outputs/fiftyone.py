"""Scores as samples of FiftyOne."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gexcore.outputs.columns import arrays_of, check_length, class_name

SUSPECT = "gex_suspect"
"""Tag of the suspects."""


def fiftyone_samples(
    columns: Mapping[str, Any],
    paths: Sequence[str],
    *,
    class_names: Sequence[str] | None = None,
    label_field: str = "ground_truth",
) -> list[dict[str, Any]]:
    """One plain dict per sample, which ``fiftyone.Sample.from_dict`` reads.

    Parameters
    ----------
    columns : mapping of arrays, or DataFrame
        Columns of `Influence.columns`. `to_frame` gives them with your own labels.
    paths : sequence of str
        File of every sample, in the order of the scores.
    class_names : sequence of str, optional
        Names of the classes 0 … K − 1. The default is these numbers.
    label_field : str
        Field of the given labels.

    Returns
    -------
    list of dict
        With the fields ``gex_suspicion`` (high = suspicious), ``gex_suggested_label`` and the given
        label. Suspects have the tag ``gex_suspect``.

    Raises
    ------
    InvalidDataError
        If paths and scores differ in number, or a class has no name.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.outputs import fiftyone_samples
    >>> columns = {
    ...     "index": np.arange(1), "label": np.array([0]), "suspicion": np.array([2.5]),
    ...     "suspect": np.array([True]), "suggested_label": np.array([1]),
    ... }
    >>> (sample,) = fiftyone_samples(columns, ["a.png"], class_names=["cat", "dog"])
    >>> sample["tags"], sample["gex_suggested_label"]
    (['gex_suspect'], {'_cls': 'Classification', 'label': 'dog'})
    """
    found = arrays_of(columns)
    check_length(len(paths), len(found["index"]))
    samples = []
    for i, path in enumerate(paths):
        sample: dict[str, Any] = {
            "filepath": str(path),
            "tags": [SUSPECT] if found["suspect"][i] else [],
        }
        for field, column in ((label_field, "label"), ("gex_suggested_label", "suggested_label")):
            value = found[column][i] if column in found else None
            if value is not None:
                name = class_name(value, class_names)
                sample[field] = {"_cls": "Classification", "label": name}
        if np.isfinite(found["suspicion"][i]):
            sample["gex_suspicion"] = float(found["suspicion"][i])
        samples.append(sample)
    return samples
