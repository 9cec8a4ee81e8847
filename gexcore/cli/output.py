"""Result folders: written whole, and never over the results of another run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.digests import file_digest
from gexcore.backend.files import PART, Content, part_beside
from gexcore.decisions.threshold import Suspects
from gexcore.errors import InUseError, InvalidSettingError, OutputExistsError
from gexcore.outputs.tables import write_csv
from gexcore.report.finished import RUN, SCORES, begun_command, sealed
from gexcore.store.lock import LOCK, locked
from gexcore.store.lock import NAME as WRITER


def previous_command(out: Path) -> dict[str, Any] | None:
    """The command that filled a folder. None if the folder is empty or missing.

    Raises
    ------
    OutputExistsError
        If the folder holds other files.
    InvalidSettingError
        If the folder cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out} is a file; --out names a folder")
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InvalidSettingError(
            f"{existing} cannot be written to; choose another folder with --out"
        )
    if not out.exists() or all(_is_passing(path.name) for path in out.iterdir()):
        return None
    command = begun_command(out)
    if command is None:
        msg = f"{out} is not empty and holds no run of gexcore; choose another folder with --out"
        raise OutputExistsError(msg)
    return command


def is_finished(out: Path, command: Mapping[str, Any]) -> bool:
    """Whether the folder holds the results of this same command.

    Raises
    ------
    OutputExistsError
        If another command filled the folder. The error names the different fields.
    """
    before = previous_command(out)
    if before is None:
        return False
    now = json.loads(json.dumps(command))
    fields = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if fields:
        fields = ["method"] if "method" in fields else fields  # another method has other settings
        told = ", ".join(_difference(name, before.get(name), now.get(name)) for name in fields)
        raise OutputExistsError(
            f"{out} holds another run, which differs in {told}; choose another folder with --out"
        )
    return (out / SCORES).exists()


def is_finished_unbuilt(out: Path, command: Mapping[str, Any]) -> bool:
    """Whether `is_finished` would hold if the model were as it was.

    Parameters
    ----------
    out : Path
    command : mapping
        The fields that are known without the model.
    """
    before = previous_command(out)
    if before is None or not (out / SCORES).exists():
        return False
    now = json.loads(json.dumps(command))
    return all(before.get(name) == value for name, value in now.items())


def begin(out: Path, command: Mapping[str, Any]) -> None:
    """Write the command that fills a folder into it."""
    write_files(out, {RUN: json.dumps({"command": command}, indent=2, ensure_ascii=False).encode()})


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Make the folder and hold its lock. A new folder that stays empty is removed.

    Raises
    ------
    InUseError
        Where another process writes to it. Nothing was touched then.
    """
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        with locked(out, f"{out}", "another folder with --out"):
            yield
    finally:
        for folder in new:
            with suppress(OSError):  # it has something in it
                folder.rmdir()


def tidy(out: Path) -> None:
    """Take away what a run left that was killed after its last file, unless another one writes."""
    if any(_is_passing(path.name) for path in out.iterdir()):
        with suppress(InUseError, OSError), only_writer(out):
            pass  # leaving it takes them away


def write_files(out: Path, files: Mapping[str, Content | Mapping[str, Any]]) -> None:
    """Put files into the folder, after all of them are written. The last one completes it.

    A mapping is a record for JSON. It gets the digests of the other files under ``files``, and that
    of itself under ``digest``.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Path] = {}
    try:
        for name, content in files.items():
            if not isinstance(content, Mapping):
                parts[name] = part_beside(out / name, content)
        digests = {name: file_digest(part) for name, part in parts.items()}
        for name, content in files.items():
            if isinstance(content, Mapping):
                parts[name] = part_beside(out / name, _json({**content, "files": digests}))
        for name in files:
            os.replace(parts[name], out / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def result_files(
    record: Mapping[str, Any],
    columns: Mapping[str, NDArray[Any]],
    found: Suspects,
    command: Mapping[str, Any],
    data: Sequence[Path] = (),
    **more: Any,
) -> dict[str, Content | Mapping[str, Any]]:
    """`run.json`, with the place of the data and `more`, and `scores.csv`, in this order."""
    told = {**record, "threshold": found.threshold._asdict(), "command": dict(command), **more}
    told |= {"data": [str(path.absolute()) for path in data]} if data else {}
    return {RUN: told, SCORES: lambda file: write_csv(file, columns)}


def _json(record: Mapping[str, Any]) -> bytes:
    # as it will be read: keys are texts then
    known = json.loads(json.dumps(plain(record), allow_nan=False))
    text = json.dumps(sealed(known), indent=2, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def _is_passing(name: str) -> bool:
    """Whether a run that was stopped may leave this file behind."""
    return name.endswith(PART) or name in (LOCK, WRITER)


def _difference(name: str, before: Any, now: Any) -> str:
    told = f"{before}, now {now}"
    return f"{name} ({told})" if len(told) < 40 else name


def plain(value: Any) -> Any:
    """A value in the form of JSON. Numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
