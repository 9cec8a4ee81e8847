"""What users of Hugging Face pass: models and Trainers of transformers, and datasets."""

from __future__ import annotations

import tempfile
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from torch import nn
from torch.utils.data import DataLoader

from tests.situations.registry import FINAL, Scored, Situations, fit, follow_the_readme

torch.set_num_threads(1)
SITUATIONS = Situations("Hugging Face")
works, refused = SITUATIONS.works, SITUATIONS.refused

N = 32
SMALL: dict[str, Any] = {
    "vocab_size": 11, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 8,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


def classifier() -> Any:
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(
        transformers.BertConfig(**SMALL, num_labels=2)
    )


def language_model() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=11, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    return transformers.GPT2LMHeadModel(config)


def tokenised() -> Any:
    """Texts of unequal lengths, with a column of words that no model takes."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 7, N)
    columns = {
        "text": ["some words"] * N,
        "input_ids": [rng.integers(1, 11, n).tolist() for n in lengths],
        "label": (np.arange(N) % 2).tolist(),
    }
    return datasets.Dataset.from_dict(columns)


def pad(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What DataCollatorWithPadding does, without a tokenizer."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.tensor([row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows])
    labels = torch.tensor([row["label"] for row in rows])
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels}


def strict_pad(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A collator that cannot pad words, as those of transformers."""
    if any(isinstance(value, str) for row in rows for value in row.values()):
        raise ValueError("Unable to create tensor, you should activate truncation and padding")
    return pad(rows)


def by_the_model(model: Any, batches: list[dict[str, Any]]) -> list[float]:
    """The model's own loss of each sample."""
    model.eval()
    with torch.no_grad():
        return [float(model(**batch).loss) for batch in batches]


def singles() -> list[dict[str, Any]]:
    return [pad([row]) for row in tokenised()]


@works("a tokenised, unpadded `datasets.Dataset` with `collate_fn=`")
def collator() -> Any:
    found = fit(classifier(), tokenised().remove_columns("text"), collate_fn=pad)
    return Scored(found, by_the_model(classifier(), singles()))


@works("the same, with a column of words that no collator can pad", "left out: text")
def strict_collator() -> Any:
    found = fit(classifier(), tokenised(), collate_fn=strict_pad)
    return Scored(found, by_the_model(classifier(), singles()))


@works("a `DataLoader` with its collator")
def loader() -> Any:
    data = DataLoader(tokenised(), batch_size=8, collate_fn=pad)
    return Scored(fit(classifier(), data), by_the_model(classifier(), singles()))


@refused("a tokenised, unpadded `datasets.Dataset` alone", "collate_fn=DataCollatorWithPadding")
def unpadded() -> Any:
    fit(classifier(), tokenised())


@works("a padded `datasets.Dataset`, with a column of words", "left out: text")
def padded() -> Any:
    rows = pad(list(tokenised()))
    columns = {name: value.tolist() for name, value in rows.items()}
    found = fit(classifier(), datasets.Dataset.from_dict({**columns, "text": ["words"] * N}))
    return Scored(found, by_the_model(classifier(), singles()))


@works('a `datasets.Dataset` with the label in another column, `label="kind"`')
def renamed() -> Any:
    rows = pad(list(tokenised()))
    rows["kind"] = rows.pop("labels")
    columns = {name: value.tolist() for name, value in rows.items()}
    found = fit(classifier(), datasets.Dataset.from_dict(columns), label="kind")
    return Scored(found, by_the_model(classifier(), singles()))


@works("a `datasets.Dataset` with `inputs=[…]` and `label=`")
def chosen() -> Any:
    rows = pad(list(tokenised()))
    columns = {name: value.tolist() for name, value in rows.items()}
    data = datasets.Dataset.from_dict({**columns, "text": ["words"] * N})
    found = fit(classifier(), data, inputs=["input_ids", "attention_mask"], label="labels")
    return Scored(found, by_the_model(classifier(), singles()))


@works('a `datasets.Dataset` with `set_format("torch")`')
def formatted() -> Any:
    rows = pad(list(tokenised()))
    columns = {name: value.tolist() for name, value in rows.items()}
    data = datasets.Dataset.from_dict(columns).with_format("torch")
    return Scored(fit(classifier(), data), by_the_model(classifier(), singles()))


@works("the dict of a tokenizer, `fit(model, encoded, labels)`")
def encoded() -> Any:
    rows = pad(list(tokenised()))
    labels = rows.pop("labels")
    return Scored(fit(classifier(), rows, labels), by_the_model(classifier(), singles()))


@works("the `BatchEncoding` of a tokenizer, `fit(model, encoded, labels)`")
def batch_encoding() -> Any:
    rows = pad(list(tokenised()))
    labels = rows.pop("labels")
    found = fit(classifier(), transformers.BatchEncoding(rows), labels)
    return Scored(found, by_the_model(classifier(), singles()))


@refused("a streamed `datasets.IterableDataset`", "give list(dataset)")
def streamed() -> Any:
    fit(classifier(), tokenised().to_iterable_dataset())


@refused("a `DatasetDict` with its splits", "give one of them, such as data['train']")
def splits() -> Any:
    fit(classifier(), datasets.DatasetDict(train=tokenised()))


def trainer(model: Any, folder: str, *, max_steps: int = 1, **settings: Any) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=folder, max_steps=max_steps, report_to=[], save_strategy="no", disable_tqdm=True,
        use_cpu=True, per_device_train_batch_size=16, **settings,
    )  # fmt: skip
    made = transformers.Trainer(
        model=model, args=arguments, train_dataset=tokenised(), data_collator=strict_pad
    )
    made.train()
    return made


@works("`fit(trainer)`, a Trainer of transformers: model, data and collator are its own")
def trained() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(classifier(), folder)
        found = fit(made)
    return Scored(found, by_the_model(made.model.eval(), singles()))


@works("`fit(trainer, other_dataset)`")
def trainer_and_data() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(classifier(), folder)
        found = fit(made, DataLoader(tokenised().select(range(10)), collate_fn=pad))
    return Scored(found, by_the_model(made.model.eval(), singles()[:10]))


@works("a causal language model, labels equal to its inputs")
def causal() -> Any:
    ids = torch.randint(0, 11, (12, 6), generator=torch.Generator().manual_seed(0))
    rows = [{"input_ids": row[None], "labels": row[None]} for row in ids]
    found = fit(language_model(), {"input_ids": ids, "labels": ids})
    return Scored(found, by_the_model(language_model(), rows))


@works("a causal language model, −100 on the prompt")
def prompted() -> Any:
    ids = torch.randint(0, 11, (12, 6), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, :3] = -100
    rows = [{"input_ids": a[None], "labels": b[None]} for a, b in zip(ids, labels, strict=True)]
    found = fit(language_model(), {"input_ids": ids, "labels": labels})
    return Scored(found, by_the_model(language_model(), rows))


@works("a causal language model, `part_suspicion()`: one score for each token, at its place")
def parts_of_tokens() -> Any:
    ids = torch.randint(0, 11, (12, 6), generator=torch.Generator().manual_seed(0))
    found = FINAL.fit(language_model(), {"input_ids": ids, "labels": ids}, progress=False)
    with torch.no_grad():
        scores = language_model().eval()(input_ids=ids).logits[:, :-1].log_softmax(-1)
    expected = -scores.gather(2, ids[:, 1:, None])[:, :, 0]
    parts = found.part_suspicion()
    assert np.isnan(parts[:, 0]).all()
    np.testing.assert_allclose(parts[:, 1:], expected, rtol=1e-4)


@works("a token classifier, −100 on special tokens")
def tokens() -> Any:
    torch.manual_seed(0)
    model = transformers.BertForTokenClassification(transformers.BertConfig(**SMALL, num_labels=3))
    ids, labels = torch.randint(1, 11, (12, 6)), torch.randint(0, 3, (12, 6))
    labels[:, 0] = -100
    rows = [{"input_ids": a[None], "labels": b[None]} for a, b in zip(ids, labels, strict=True)]
    return Scored(fit(model, {"input_ids": ids, "labels": labels}), by_the_model(model, rows))


@works('a regression head, `num_labels=1`, `loss="squared_error"`')
def regression() -> Any:
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(**SMALL, num_labels=1)
    )
    ids, y = torch.randint(1, 11, (12, 6)), torch.rand(12)
    found = fit(model, {"input_ids": ids, "labels": y}, loss="squared_error")
    with torch.no_grad():
        return Scored(found, (model.eval()(ids).logits[:, 0] - y) ** 2)


@works("`loss=` a function of the output of a model of transformers")
def own_loss() -> Any:
    rows = pad(list(tokenised()))
    found = fit(
        classifier(), rows,
        loss=lambda out, y: nn.functional.cross_entropy(out, y, reduction="none"),
    )  # fmt: skip
    return Scored(found, by_the_model(classifier(), singles()))


@works("question answering, two heads of start and end, `loss=` a function of both")
def spans() -> Any:
    torch.manual_seed(0)
    model = transformers.BertForQuestionAnswering(transformers.BertConfig(**SMALL))
    ids, ends = torch.randint(1, 11, (12, 6)), torch.randint(0, 6, (12, 2))

    def loss(out: Any, y: Any) -> Any:
        cross = nn.functional.cross_entropy
        return cross(out.start_logits, y[:, 0], reduction="none") + cross(
            out.end_logits, y[:, 1], reduction="none"
        )

    found = fit(model, {"input_ids": ids, "labels": ends}, loss=loss)
    with torch.no_grad():
        return Scored(found, loss(model.eval()(ids), ends))


@works("the README's example with a Trainer")
def readme() -> None:
    columns = pad(list(tokenised()))
    labels = columns.pop("labels")
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(classifier(), folder, max_steps=60, learning_rate=1e-2)
        follow_the_readme(made, columns, labels)
