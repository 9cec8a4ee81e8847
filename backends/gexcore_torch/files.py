"""PyTorch models in files and folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gexcore.backend import StoredModel
from gexcore.errors import InvalidModelError, MissingExtraError
from gexcore_torch.scripted import Scripted, quietly

UNNAMED = "LABEL_"
"""How transformers names classes without a name."""


def read_module(path: Path, *, trust: bool) -> StoredModel:
    """A TorchScript module, or with trust a module that ``torch.save`` pickled.

    Raises
    ------
    InvalidModelError
        If the file holds neither, or needs trust.
    """
    try:
        return StoredModel(Scripted(quietly(torch.jit.load, path, map_location="cpu")))
    except RuntimeError as error:
        if not trust:
            msg = (
                f"{path} is no TorchScript file, and any other file of torch.save is a pickle, "
                "which runs any code that it holds; if you trust where it comes from, add --trust"
            )
            raise InvalidModelError(msg) from error
    try:
        model = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # a pickle may raise anything
        raise _unreadable(path, error) from error
    if not isinstance(model, torch.nn.Module):
        msg = (
            f"{path} holds a {type(model).__name__} and no module; build the module in a file and "
            "give file.py:callable"
        )
        raise InvalidModelError(msg)
    return StoredModel(model)


def read_exported(path: Path, *, trust: bool) -> StoredModel:
    """The module of a program that ``torch.export.save`` wrote; its batches keep their size.

    Raises
    ------
    InvalidModelError
        If the file cannot be read.
    """
    try:
        return StoredModel(torch.export.load(path).module())
    except Exception as error:
        raise _unreadable(path, error) from error


def read_pretrained(path: Path, *, trust: bool) -> StoredModel:
    """The model that ``save_pretrained`` of transformers wrote, with what makes its inputs.

    Raises
    ------
    InvalidModelError
        If the folder cannot be read.
    MissingExtraError
        If transformers is not installed.
    """
    if not (path / "config.json").is_file():
        raise InvalidModelError(
            f"{path} has no config.json; name a folder that save_pretrained of transformers wrote"
        )
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            "a folder of a Hugging Face model needs transformers; try: pip install transformers"
        ) from error
    try:
        config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=trust)
        kind = getattr(transformers, (config.architectures or ["AutoModel"])[0])
        model = kind.from_pretrained(path).eval()
    except Exception as error:
        raise _unreadable(path, error) from error
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    named = not all(name.startswith(UNNAMED) for name in names)
    return StoredModel(model, _inputs(path, transformers), tuple(names) if named else ())


def _inputs(path: Path, transformers: Any) -> Callable[[Any], Mapping[str, Any]] | None:
    if (path / "tokenizer_config.json").is_file():
        tokenizer = transformers.AutoTokenizer.from_pretrained(path)

        def tokens(texts: Any) -> Mapping[str, Any]:
            told = tokenizer(list(map(str, texts)), padding=True, truncation=True)
            return {name: torch.tensor(told[name]) for name in told}

        return tokens
    if (path / "preprocessor_config.json").is_file():
        processor = transformers.AutoImageProcessor.from_pretrained(path)

        def pixels(pictures: Any) -> Mapping[str, Any]:
            # as they are in files: 0 … 255, channels first
            images = [np.rint(255 * picture).astype(np.uint8) for picture in pictures]
            found = processor(images, return_tensors="pt", input_data_format="channels_first")
            return {"pixel_values": found["pixel_values"]}

        return pixels
    return None


def _unreadable(path: Path, error: Exception) -> InvalidModelError:
    told = (f"{type(error).__name__}: {error}".splitlines() or [""])[0]
    return InvalidModelError(
        f"{path} cannot be read as a model ({told}); save it anew with the installed versions"
    )
