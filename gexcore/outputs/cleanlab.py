"""Suspects in the form of cleanlab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gexcore.errors import InvalidDataError, MissingExtraError
from gexcore.outputs.columns import quality_of

if TYPE_CHECKING:
    import pandas as pd


def issue_frame(columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """The frame that cleanlab's ``CleanLearning.find_label_issues`` returns, made from our scores.

    Parameters
    ----------
    columns : mapping of arrays
        Columns of `Influence.columns`.

    Returns
    -------
    DataFrame
        Columns ``is_label_issue`` (our suspects), ``label_quality``, ``given_label`` and
        ``predicted_label``. The quality is exp(−suspicion), from 0 (bad) to 1: the probability that
        the label is right, by the odds of the members. The predicted label of an issue is the
        suggested one. Elsewhere it is the given label.

    Raises
    ------
    InvalidDataError
        If targets are no classes.
    MissingExtraError
        If pandas is not installed.
    """
    given, predicted = columns["label"], columns["suggested_label"]
    if len(given) and (given[0] is None or predicted[0] is None):
        raise InvalidDataError(
            "label issues need given and suggested classes, and these scores have none"
        )
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError(
            "a frame needs pandas; try: pip install 'gexcore[report]'"
        ) from error
    return pd.DataFrame(
        {
            "is_label_issue": columns["suspect"],
            "label_quality": quality_of(columns["suspicion"]),
            "given_label": given.astype(np.intp),
            "predicted_label": np.where(columns["suspect"], predicted, given).astype(np.intp),
        }
    )
