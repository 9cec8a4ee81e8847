"""Training sets in folders: pictures by class, and Hugging Face datasets saved on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.cli.reading import Reading
from gexcore.cli.samples import Samples
from gexcore.cli.tables import samples_of
from gexcore.errors import InvalidDataError, MissingExtraError

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
METADATA, FILE_NAME = "metadata.csv", "file_name"
FULL = 255.0
SPLIT = "train"


def read_folder(folder: Path, reading: Reading) -> Samples:
    """The training set in a folder.

    Raises
    ------
    InvalidDataError, InvalidSettingError, MissingExtraError
        If the folder is of no known kind, or a file cannot be read.
    """
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _hugging_face(folder, reading)
    if (folder / METADATA).is_file():
        return _described(folder, reading)
    return _by_class(folder, reading)


def _by_class(folder: Path, reading: Reading) -> Samples:
    """``folder/class/*.jpg``, in the order of the names."""
    reading.taken(("size",), "a folder of pictures by class")
    files = sorted(
        path for path in folder.glob("*/*") if path.suffix.lower() in PICTURES and path.is_file()
    )
    if not files:
        raise InvalidDataError(
            f"{folder} has no pictures; give a folder with one folder of pictures per class, one "
            f"with pictures and {METADATA}, or a Hugging Face dataset saved on disk"
        )
    names = [path.relative_to(folder).as_posix() for path in files]
    pd = _pandas()
    rows = pd.DataFrame({FILE_NAME: names, "label": [path.parent.name for path in files]})
    found = samples_of(rows, rows, Reading(label="label"), str(folder))
    x = pictures(files, reading.size)
    return Samples(y=found.y, x=x, pictures=True, root=folder, rows=rows, reading=reading)


def _described(folder: Path, reading: Reading) -> Samples:
    """Pictures that a table names in its column ``file_name``, as Hugging Face has them."""
    reading.taken(("label", "id", "size"), f"a folder with {METADATA}")
    rows = _pandas().read_csv(folder / METADATA, dtype=str, keep_default_na=False)
    if FILE_NAME not in rows.columns:
        raise InvalidDataError(f"{folder / METADATA} has no column {FILE_NAME}; add it")
    found = samples_of(rows, rows, reading, str(folder / METADATA))
    files = [folder / name for name in rows[FILE_NAME]]
    x = pictures(files, reading.size)
    return Samples(y=found.y, x=x, pictures=True, root=folder, rows=rows, reading=reading)


def pictures(files: list[Path], size: tuple[int, int] | None) -> NDArray[np.float32]:
    """The pictures in these files, as `stacked` makes them.

    Raises
    ------
    InvalidDataError
        If a file is no picture, or sizes differ and none is given.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError(
            "pictures need pillow; try: pip install 'gexcore[report]'"
        ) from error
    found = []
    for file in files:
        try:
            with Image.open(file) as opened:
                opened.load()
                found.append(opened.copy())
        except (OSError, UnidentifiedImageError) as error:
            raise InvalidDataError(
                f"{file} cannot be read as a picture ({type(error).__name__}); repair it or leave "
                "it out"
            ) from error
    return stacked(found, size)


def stacked(images: list[Any], size: tuple[int, int] | None) -> NDArray[np.float32]:
    """Pictures of pillow from 0 to 1, shape (samples, height, width, channels).

    One channel if all are grey, else the three of RGB.

    Raises
    ------
    InvalidDataError
        If sizes differ and none is given.
    """
    mode = "L" if all(image.mode in ("1", "L") for image in images) else "RGB"
    images = [image.convert(mode) for image in images]
    images = images if size is None else [image.resize(size[::-1]) for image in images]
    sizes = {image.size for image in images}
    if len(sizes) > 1:
        raise InvalidDataError(
            f"the pictures have {len(sizes)} different sizes; give the one of the training with "
            "--size HxW"
        )
    x = np.stack([np.asarray(image, np.float32) / np.float32(FULL) for image in images])
    return x[..., None] if x.ndim == 3 else x


def _hugging_face(folder: Path, reading: Reading) -> Samples:
    """A dataset that ``save_to_disk`` wrote; of several splits the one named train."""
    reading.taken(("label", "columns", "text", "id", "size"), "a Hugging Face dataset")
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(
            "a Hugging Face dataset needs datasets; try: pip install datasets"
        ) from error
    dataset: Any = datasets.load_from_disk(str(folder))
    if isinstance(dataset, dict):
        if SPLIT not in dataset:
            raise InvalidDataError(
                f"{folder} holds the splits {', '.join(dataset)}; give the folder of one of them"
            )
        dataset = dataset[SPLIT]
    if reading.label is None and "label" in dataset.column_names:
        reading = Reading(**{**vars(reading), "label": "label"})
    of_pictures = [
        name for name, kind in dataset.features.items() if isinstance(kind, datasets.Image)
    ]
    frame = dataset.remove_columns(of_pictures).to_pandas()
    found = samples_of(frame, frame.copy(), reading, str(folder))
    kind = dataset.features[reading.label]
    names = kind.names if isinstance(kind, datasets.ClassLabel) else None
    x = None
    if of_pictures and not reading.columns and reading.text is None:
        x = stacked(list(dataset[of_pictures[0]]), reading.size)
    return Samples(
        y=found.y,
        x=x,
        pictures=x is not None,
        frame=None if x is not None else frame,
        rows=found.rows,
        reading=reading,
        names=names,
        dataset=dataset,
    )


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError(
            "a folder of pictures needs pandas; try: pip install 'gexcore[report]'"
        ) from error
    return pd
