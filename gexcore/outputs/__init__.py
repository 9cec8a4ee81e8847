"""Outputs: cleaned data and suspects for other tools. No function overwrites a file."""

from __future__ import annotations

from gexcore.decisions.targets import new_targets
from gexcore.outputs.argilla import argilla_records
from gexcore.outputs.cleanlab import issue_frame
from gexcore.outputs.datalab import add_to_datalab, register_in_datalab
from gexcore.outputs.diff import diff
from gexcore.outputs.fiftyone import fiftyone_samples
from gexcore.outputs.huggingface import with_scores, with_targets
from gexcore.outputs.label_studio import label_studio_tasks, write_tasks
from gexcore.outputs.tables import write_columns

__all__ = [
    "add_to_datalab",
    "argilla_records",
    "diff",
    "fiftyone_samples",
    "issue_frame",
    "label_studio_tasks",
    "new_targets",
    "register_in_datalab",
    "with_scores",
    "with_targets",
    "write_columns",
    "write_tasks",
]
