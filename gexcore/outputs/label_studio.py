"""Suspects as tasks for review in Label Studio."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gexcore._version import __version__
from gexcore.backend.files import write_new
from gexcore.outputs.columns import arrays_of, check_length, class_name


def label_studio_tasks(
    columns: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    indices: Any,
    *,
    from_name: str = "label",
    to_name: str = "sample",
    class_names: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """One task per sample of `indices`, in order, with the suggested label as prediction.

    Parameters
    ----------
    columns : mapping of arrays, or DataFrame
        Columns of `Influence.columns`. `to_frame` gives them with your own labels. The
        suggested label is the most probable one if the given label is wrong.
    samples : sequence of mappings
        Content of every sample for Label Studio: ``{"text": …}`` or ``{"image": URL}``, with the
        names of the labelling configuration.
    indices : integer array
        Positions of samples to review, such as ``influence.suspects().indices``.
    from_name, to_name : str
        Names of the ``Choices`` control and of the object tag in the labelling configuration.
    class_names : sequence of str, optional
        Names of the choices in the configuration. The default is the class numbers.

    Raises
    ------
    InvalidDataError
        If samples and scores differ in number, or a class has no name.
    """
    found = arrays_of(columns)
    check_length(len(samples), len(found["index"]))
    tasks = []
    for i in np.asarray(indices, np.intp).tolist():
        given = found["label"][i]
        suggested = found["suggested_label"][i] if "suggested_label" in found else None
        data = {**samples[i], "index": i, "suspicion": round(float(found["suspicion"][i]), 6)}
        task: dict[str, Any] = {"data": data}
        if given is not None:
            data["given_label"] = class_name(given, class_names)
        if suggested is not None:
            choice = {"from_name": from_name, "to_name": to_name, "type": "choices"}
            name = class_name(suggested, class_names)
            result = {**choice, "value": {"choices": [name]}}
            task["predictions"] = [{"model_version": f"gexcore {__version__}", "result": [result]}]
        tasks.append(task)
    return tasks


def write_tasks(path: str | Path, tasks: Sequence[Mapping[str, Any]]) -> None:
    """Write tasks as a new JSON file, which Label Studio imports.

    Raises
    ------
    OutputExistsError, InvalidSettingError
        If the path exists, or no file can be made there.
    """
    content = json.dumps(list(tasks), indent=1, allow_nan=False)
    write_new(Path(path), lambda file: file.write(content.encode()))
