"""Cleaned data in the form of the scored data: arrays, tables, datasets, folders of pictures."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.backend.files import PART, check_new
from gexcore.cli.files import Columns
from gexcore.cli.scored_folder import Scored
from gexcore.decisions.clean import Cleaned
from gexcore.decisions.targets import new_targets
from gexcore.errors import InvalidDataError
from gexcore.outputs.huggingface import with_scores, with_targets
from gexcore.outputs.tables import check_columns, check_frame, write_columns, write_frame

if TYPE_CHECKING:
    import pandas as pd


def writer(scored: Scored, cleaned: Cleaned, out: Path) -> Callable[[], None]:
    """What writes the cleaned data. A path that cannot be written is refused at once.

    Parameters
    ----------
    scored : Scored
    cleaned : Cleaned
    out : Path
        A new file, or for a dataset and for pictures a new folder: a path without a suffix.

    Raises
    ------
    OutputExistsError, InvalidSettingError, InvalidDataError
    """
    samples, suffix = scored.samples, out.suffix.lower()
    if not suffix and (samples.dataset is not None or samples.root is not None):
        check_new(out)
        fill = _dataset if samples.dataset is not None else _pictures
        return partial(_new_folder, out, partial(fill, scored, cleaned))
    if suffix == ".npz" or samples.rows is None:
        columns = cleaned_arrays(scored, cleaned, table=suffix != ".npz")
        check_columns(out, columns)
        return partial(write_columns, out, columns)
    # a text file keeps its cells as they came; Parquet has types
    typed = samples.frame if suffix == ".parquet" else None
    frame = cleaned_table(samples.rows if typed is None else typed, scored, cleaned)
    check_frame(out)
    return partial(write_frame, out, frame)


def own_names(scored: Scored) -> list[Any] | None:
    """The classes 0 … K − 1 of the scores as the data has them: names, or numbers of its own."""
    names, own = scored.audit.names, scored.samples.names
    if names is None or own is None:
        return names
    return [own.index(str(name)) for name in names]


def _new_folder(out: Path, fill: Callable[[Path], None]) -> None:
    """A folder that is filled under another name first: it is there whole or not at all."""
    part = out.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        fill(part)
        check_new(out)  # the path may have appeared meanwhile
        os.rename(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _dataset(scored: Scored, cleaned: Cleaned, folder: Path) -> None:
    """A Hugging Face dataset with the new labels, and the scores as columns ``gex_…``."""
    samples, audit, names = scored.samples, scored.audit, own_names(scored)
    given, label = samples.dataset, samples.reading.label or "label"
    suggested = audit.suggested
    if suggested is not None and names is not None:
        suggested = np.asarray(names)[suggested]
    columns = {
        "suspicion": audit.suspicion,
        "self_influence": audit.self_influence,
        "standard_error": audit.standard_error,
        "suspect": audit.suspect,
        "suggested_label": suggested,
    }
    known = {
        name: column
        for name, column in columns.items()
        if column is not None and not (column.dtype.kind == "f" and np.isnan(column).all())
    }
    own = [name for name in given.column_names if not name.startswith("gex_")]
    targets = new_targets(samples.y, audit.labels, cleaned, names=names)
    with _no_cache():
        scores = with_scores(given.select_columns(own), {"index": np.arange(len(audit)), **known})
        found = with_targets(scores, replace(cleaned, targets=targets), column=label)
        found.select_columns(scores.column_names).save_to_disk(str(folder))


@contextmanager
def _no_cache() -> Iterator[None]:
    """No file beside the data of a dataset: `datasets` caches there what it makes of one."""
    import datasets

    cached = datasets.is_caching_enabled()
    datasets.disable_caching()
    try:
        yield
    finally:
        if cached:
            datasets.enable_caching()


def _pictures(scored: Scored, cleaned: Cleaned, folder: Path) -> None:
    """Copies of the pictures: in the folders of their new labels, or with a new table."""
    from gexcore.cli.folders import FILE_NAME, METADATA  # needs packages that other data do not

    samples = scored.samples
    assert samples.rows is not None
    assert samples.root is not None
    if cleaned.targets.ndim == 2:
        raise InvalidDataError(
            "soft targets have no folder of their own; name a file that ends in .npz or .csv"
        )
    table = cleaned_table(samples.rows, scored, cleaned)
    described = (samples.root / METADATA).is_file()
    label = samples.reading.label or "label"
    for name, target in zip(table[FILE_NAME], table[label], strict=True):
        to = folder / name if described else folder / str(target) / Path(name).name
        if ".." in to.relative_to(folder).parts:
            raise InvalidDataError(
                f"{name} is outside {samples.root}, so it has no place in a new folder; name a "
                "file that ends in .csv"
            )
        if to.exists():  # a picture of another class has this name
            to = to.with_name(f"{Path(name).parent.name}-{to.name}")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(samples.root / name, to)
    if described:
        table.to_csv(folder / METADATA, index=False)


def cleaned_arrays(scored: Scored, cleaned: Cleaned, *, table: bool) -> Columns:
    """The kept samples with new targets: x and y, and in an archive their positions as index."""
    kept, (x, y) = cleaned.indices, scored.data
    names = own_names(scored) if scored.samples.y.dtype.kind in "iuf" else None
    columns = {"x": x[kept], "y": new_targets(y, scored.audit.labels, cleaned, names=names)}
    return columns if table else {**columns, "index": kept}


def cleaned_table(rows: pd.DataFrame, scored: Scored, cleaned: Cleaned) -> pd.DataFrame:
    """The kept rows with new targets. Only cells of relabelled samples differ.

    Soft targets of a column ``label`` become the columns ``label_0``, ``label_1``, ….

    Parameters
    ----------
    rows : DataFrame
        All samples, one row each.
    scored : Scored
        The same samples, scored.
    cleaned : Cleaned
    """
    samples, audit = scored.samples, scored.audit
    label = samples.reading.label or "label"
    targets = new_targets(samples.y, audit.labels, cleaned, names=own_names(scored))
    frame = rows.iloc[cleaned.indices].reset_index(drop=True)
    place = list(frame.columns).index(label)
    if targets.ndim == 2:
        frame = frame.drop(columns=label)
        for k in range(targets.shape[1]):
            frame.insert(place + k, f"{label}_{k}", targets[:, k])
        return frame
    changed = np.isin(cleaned.indices, cleaned.changed)
    cells = frame[label].to_numpy(dtype=object)
    new = targets.tolist()
    as_text = all(isinstance(cell, str) for cell in cells)
    cells[changed] = [str(new[i]) if as_text else new[i] for i in np.flatnonzero(changed).tolist()]
    frame[label] = cells if as_text else np.array(cells.tolist())
    return frame
