"""Suspects as an issue type of cleanlab's Datalab."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from gexcore.errors import MissingExtraError
from gexcore.outputs.columns import arrays_of, check_length, quality_of

ISSUE = "gexcore"
"""Name of the issue type.

It does not hold the word label: Datalab finds columns by a part of their name.
"""


def add_to_datalab(lab: Any, columns: Mapping[str, Any]) -> None:
    """Add our suspects to a Datalab, as the issue type ``gexcore``.

    ``lab.get_issues("gexcore")`` then has the columns ``is_gexcore_issue`` (our suspects) and
    ``gexcore_score``, from 0 (bad) to 1. ``lab.get_info("gexcore")`` has the given and the
    suggested labels. ``lab.report()`` shows them beside the issues that cleanlab finds.

    Parameters
    ----------
    lab : cleanlab.Datalab
    columns : mapping of arrays, or DataFrame
        Columns of `Influence.columns`, for the same samples in the same order. `to_frame` gives
        them with your own labels.

    Raises
    ------
    InvalidDataError
        If the number of samples differs.
    MissingExtraError
        If cleanlab is not installed.

    Examples
    --------
    ::

        lab = cleanlab.Datalab(data, label_name="label")
        add_to_datalab(lab, influence.columns())
        lab.report()
    """
    found = arrays_of(columns)
    check_length(len(lab.data), len(found["index"]))
    register_in_datalab(str(lab.task))
    lab.find_issues(issue_types={ISSUE: {"columns": found}})


@cache
def register_in_datalab(task: str = "classification") -> type[Any]:
    """Make the issue type ``gexcore`` known to Datalab, and return its issue manager.

    Then ``lab.find_issues(issue_types={"gexcore": {"columns": influence.columns()}, "label": {}})``
    finds it beside others.

    Parameters
    ----------
    task : {"classification", "regression", "multilabel"}
        Task of the Datalab.

    Raises
    ------
    MissingExtraError
        If cleanlab is not installed.
    """
    try:
        import pandas as pd
        from cleanlab.datalab.internal.issue_manager import IssueManager
        from cleanlab.datalab.internal.issue_manager_factory import register
    except ImportError as error:
        raise MissingExtraError(
            f"Datalab needs cleanlab ({error}); try: pip install 'cleanlab[datalab]'"
        ) from error

    class GexIssueManager(IssueManager):  # type: ignore[misc]
        """Samples that a model's losses, or another method of gexcore, make suspicious."""

        description = "Samples above the threshold of gexcore: their label is probably wrong."
        issue_name = ISSUE

        def find_issues(self, columns: Mapping[str, Any], **_: Any) -> None:
            """Read the columns of a result."""
            found = arrays_of(columns)
            check_length(len(self.datalab.data), len(found["index"]))
            score = quality_of(found["suspicion"])
            self.issues = pd.DataFrame(
                {f"is_{ISSUE}_issue": found["suspect"].astype(bool), f"{ISSUE}_score": score}
            )
            self.summary = self.make_summary(score=float(score.mean()))
            self.info = self.collect_info(found)

        def collect_info(self, found: Mapping[str, Any]) -> dict[str, Any]:
            """Given and suggested labels, and the suspicion."""
            named = {"given_label": "label", "suggested_label": "suggested_label"}
            info = {name: found[column] for name, column in named.items() if column in found}
            return {**info, "suspicion": found["suspicion"]}

    return register(GexIssueManager, task=task)  # type: ignore[no-any-return]
