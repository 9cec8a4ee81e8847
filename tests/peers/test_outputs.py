"""What we write for other tools, read by these tools themselves."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of their dependencies, on import
    import argilla
    import mlflow
    import wandb
    from cleanlab import Datalab
    from cleanlab.classification import CleanLearning
    from label_studio_sdk.label_interface import LabelInterface
    from sklearn.linear_model import LogisticRegression

import gexcore as gx
from gexcore.errors import InvalidDataError
from gexcore.outputs import (
    add_to_datalab,
    argilla_records,
    issue_frame,
    label_studio_tasks,
    register_in_datalab,
    write_tasks,
)
from gexcore.scores import AUM, Recorder
from gexcore_numpy import MLP

pytestmark = pytest.mark.filterwarnings("ignore")
WRONG = (3, 17, 80)
NAMES = ("left", "right")


class Scored(NamedTuple):
    influence: Any
    x: Any
    y: Any


@pytest.fixture(scope="session")
def scored() -> Scored:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-2, 1, (60, 2)), rng.normal(2, 1, (60, 2))])
    y = np.repeat([0, 1], 60)
    y[list(WRONG)] = 1 - y[list(WRONG)]
    model = MLP([np.array([[-1.0, 1.0], [-1.0, 1.0]])], [np.zeros(2)])
    influence = gx.GEX(chains=2, snapshots=4, lr=0.1).fit(model, (x, y), progress=False)
    assert set(influence.suspects().indices) == set(WRONG)
    return Scored(influence, x, y)


def test_the_issue_frame_has_the_columns_of_cleanlab(scored: Any) -> None:
    theirs = CleanLearning(LogisticRegression()).find_label_issues(scored.x, scored.y)
    ours = issue_frame(scored.influence.columns())
    assert list(ours.columns) == list(theirs.columns)
    assert [kind.kind for kind in ours.dtypes] == [kind.kind for kind in theirs.dtypes]
    np.testing.assert_array_equal(ours["given_label"], theirs["given_label"])
    # cleanlab's own classifier can be fitted with our frame in place of theirs
    CleanLearning(LogisticRegression()).fit(scored.x, scored.y, label_issues=ours)


def lab_of(scored: Any) -> Datalab:
    names = np.array(NAMES)[scored.y]
    return Datalab({"x": scored.x.tolist(), "side": names}, label_name="side", verbosity=0)


def test_datalab_holds_our_suspects_beside_its_own(scored: Any, tmp_path: Path, capsys) -> None:
    lab = lab_of(scored)
    p = LogisticRegression().fit(scored.x, scored.y).predict_proba(scored.x)
    lab.find_issues(pred_probs=p)
    theirs = lab.get_issues("label")
    add_to_datalab(lab, scored.influence.to_frame())
    ours = lab.get_issues("gexcore")
    assert list(ours.columns) == ["is_gexcore_issue", "gexcore_score"]
    assert set(np.flatnonzero(ours["is_gexcore_issue"])) == set(WRONG)
    assert ours["gexcore_score"].between(0, 1).all()
    np.testing.assert_array_equal(ours["gexcore_score"].argsort()[:5], scored.influence.ranking(5))
    assert lab.get_issues("label").equals(theirs)
    summary = lab.get_issue_summary("gexcore")
    assert summary["num_issues"].tolist() == [3]
    np.testing.assert_array_equal(
        lab.get_info("gexcore")["suggested_label"], scored.influence.columns()["suggested_label"]
    )
    lab.report()
    assert "Number of examples with this issue: 3" in capsys.readouterr().out
    lab.save(str(tmp_path / "lab"))
    assert Datalab.load(str(tmp_path / "lab")).get_issues("gexcore").equals(ours)


def test_the_issue_manager_runs_among_others(scored: Any) -> None:
    lab = lab_of(scored)
    register_in_datalab()
    columns = scored.influence.columns()
    lab.find_issues(issue_types={"gexcore": {"columns": columns}, "class_imbalance": {}})
    assert set(lab.get_issue_summary()["issue_type"]) == {"gexcore", "class_imbalance"}
    assert register_in_datalab() is register_in_datalab()


def test_scores_of_any_sign_are_a_quality_in_datalab(scored: Any) -> None:
    recorder, rng = Recorder(samples=120), np.random.default_rng(0)
    recorder.add(np.arange(120), logits=rng.normal(size=(120, 2)), labels=scored.y)
    recorder.epoch()
    result, lab = AUM(recorder=recorder).fit(), lab_of(scored)
    assert result.suspicion().min() < 0 < result.suspicion().max()
    add_to_datalab(lab, result.columns())
    quality = lab.get_issues("gexcore")["gexcore_score"]
    assert quality.between(0, 1).all()
    assert quality.argmin() == result.ranking(1)[0]


def test_datalab_with_other_data_is_refused(scored: Any) -> None:
    lab = Datalab({"side": ["left", "right"]}, label_name="side", verbosity=0)
    with pytest.raises(InvalidDataError, match="there are 2 samples and 120 scores"):
        add_to_datalab(lab, scored.influence.columns())


CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="side" toName="text"><Choice value="left"/><Choice value="right"/></Choices>
</View>
"""


def test_label_studio_takes_the_tasks_and_their_predictions(scored: Any, tmp_path: Path) -> None:
    texts = [{"text": f"point {i}"} for i in range(120)]
    given = (scored.influence.columns(), texts, WRONG)
    named = {"from_name": "side", "to_name": "text"}
    write_tasks(
        tmp_path / "tasks.json", label_studio_tasks(*given, **named, class_names=list(NAMES))
    )
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    interface = LabelInterface(CONFIG)
    assert len(tasks) == 3
    for task in tasks:
        assert interface.validate_task({"data": task["data"]})
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction, return_errors=True) == []
    # the control: class numbers are no choices of this configuration
    (prediction,) = label_studio_tasks(*given, **named)[0]["predictions"]
    assert interface.validate_prediction(prediction, return_errors=True)


def test_argilla_reads_the_records(scored: Any) -> None:
    fields = [{"text": f"point {i}"} for i in range(120)]
    records = argilla_records(scored.influence.columns(), fields, WRONG, class_names=list(NAMES))
    records = json.loads(json.dumps(records))
    for i, plain in zip(WRONG, records, strict=True):
        record = argilla.Record.from_dict(plain)
        model = record.api_model()
        assert model.external_id == str(i)
        assert record.fields["text"] == f"point {i}"
        (suggestion,) = model.suggestions
        assert (suggestion.question_name, suggestion.value) == ("label", NAMES[1 - scored.y[i]])
        told = {entry.name: entry.value for entry in model.metadata}
        assert told["given_label"] == NAMES[scored.y[i]]
        assert told["suspicion"] == scored.influence.suspicion()[i]
        assert set(record.to_dict()) >= plain.keys()


def test_mlflow_logs_the_metrics(scored: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    experiment = mlflow.create_experiment("cleaning")
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_metrics(scored.influence.to_dict())
    kept = mlflow.get_run(run.info.run_id).data.metrics
    assert kept == scored.influence.to_dict()
    assert kept["suspects"] == 3
    assert kept["samples"] == 120


def test_wandb_logs_the_metrics(scored: Any, tmp_path: Path) -> None:
    settings = wandb.Settings(
        mode="offline",
        silent=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        disable_git=True,
        disable_code=True,
        console="off",
    )
    with wandb.init(project="p", dir=os.fspath(tmp_path), settings=settings) as run:
        run.log(scored.influence.to_dict())
        kept = dict(run.summary)
    told = scored.influence.to_dict()
    assert {name: kept[name] for name in told} == told


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "exports.md"
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert set(names["lab"].get_issue_summary()["issue_type"]) == {"gexcore", "class_imbalance"}
