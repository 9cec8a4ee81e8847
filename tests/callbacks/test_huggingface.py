"""The callback of the Trainer: what the training step put out, by position."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import gexcore as gx
from gexcore.callbacks import TrainerRecord
from gexcore.errors import InvalidSettingError
from tests.callbacks.by_hand import assert_same_scores, by_hand

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and accelerate
SIZE = 40


def samples() -> datasets.Dataset:
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 20, (SIZE, 6))
    labels = (tokens.sum(axis=1) > 60).astype(int)
    return datasets.Dataset.from_dict(
        {"input_ids": tokens.tolist(), "labels": labels.tolist(), "note": ["unused"] * SIZE}
    )


def model() -> nn.Module:
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=20,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=8,
            num_labels=2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


def trainer(folder, **settings) -> Trainer:
    given = {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-2,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "use_cpu": True,
        "seed": 0,
        **settings,
    }
    data = samples()
    return Trainer(model(), TrainingArguments(str(folder), **given), train_dataset=data)


def test_scores_equal_those_of_a_record_kept_by_hand(tmp_path):
    watched = trainer(tmp_path)
    record = TrainerRecord(watched, every=1)
    watched.train()

    plain = trainer(tmp_path)
    data, steps, states = samples(), [], []
    tokens, labels = np.array(data["input_ids"]), np.array(data["labels"])
    places = {row.tobytes(): i for i, row in enumerate(tokens)}

    def keep(module, args, kwargs, output):
        at = np.array([places[row.tobytes()] for row in kwargs["input_ids"].numpy()])
        steps.append((at, output.logits.detach().numpy()))
        if len(steps) % 5 == 1 and len(steps) > 1:
            states.append({k: v.clone() for k, v in module.state_dict().items()})

    hook = plain.model.register_forward_hook(keep, with_kwargs=True)
    plain.train()
    hook.remove()
    states.append(plain.model.state_dict())
    assert len(steps) == 15
    assert_same_scores(record.recorder, by_hand(steps, labels, per_epoch=5))

    assert len(record.checkpoints) == 3
    for found, kept in zip(record.checkpoints, states, strict=True):
        for name, value in kept.items():
            torch.testing.assert_close(found[name], value)
    given = {"input_ids": torch.tensor(tokens), "labels": torch.tensor(labels)}
    fits = [
        gx.TracIn(checkpoints=kept, parameters=["classifier*"])
        .fit(plain.model, given, progress=False)
        .self_influence()
        for kept in (record.checkpoints, states)
    ]
    np.testing.assert_allclose(fits[0], fits[1], rtol=1e-4)


def test_recording_changes_no_bit_of_the_training_and_evaluation_goes_on(tmp_path):
    watched, plain = (trainer(tmp_path, num_train_epochs=1) for _ in range(2))
    record = TrainerRecord(watched)
    watched.train()
    plain.train()
    for a, b in zip(watched.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(a, b)
    found = watched.predict(samples())
    np.testing.assert_array_equal(found.predictions, plain.predict(samples()).predictions)
    assert record.recorder.epochs == (1,)
    assert record.checkpoints == []


def test_what_cannot_be_recorded(tmp_path):
    watched = trainer(tmp_path)
    watched.train_dataset = None
    with pytest.raises(InvalidSettingError, match="no training set with a length"):
        TrainerRecord(watched)
