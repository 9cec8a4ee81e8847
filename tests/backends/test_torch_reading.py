"""What users of PyTorch give without a second thought: in-place layers, closed models, tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gexcore as gx
from gexcore.errors import GexWarning, InvalidDataError
from gexcore.evaluation.opening import opened
from gexcore_torch.backend import TorchBackend

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
N = 96


def blobs() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    y = np.arange(N) % 3
    centres = np.eye(3, 5) * 4 - 1
    return (centres[y] + RNG.normal(size=(N, 5))).astype(np.float32), y


X, Y = blobs()


def trained(*layers: nn.Module, y: Any = Y, loss: Any = None) -> nn.Sequential:
    """A network that was trained on its scores, before any closing layer."""
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        (loss or nn.functional.cross_entropy)(
            model(torch.from_numpy(X.copy())), torch.as_tensor(y)
        ).backward()
        optimizer.step()
    return model


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        return self.head(x.mul_(0.5))


def clipped() -> nn.Module:
    return nn.Sequential(nn.Hardtanh(inplace=True), nn.Linear(5, 3))


def dropped() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5, inplace=True), nn.Linear(5, 3))


def rewriting(output: Any, target: Any) -> Any:
    losses = nn.functional.cross_entropy(output, target.clone(), reduction="none")
    target.zero_()
    return losses


@pytest.mark.parametrize("loss", [None, rewriting])
@pytest.mark.parametrize("make", [InPlace, clipped, dropped])
@pytest.mark.parametrize("wrap", [np.asarray, torch.as_tensor])
def test_arrays_stay_as_they_are(make: Any, loss: Any, wrap: Any) -> None:
    torch.manual_seed(0)
    x, y = wrap(X.copy()), wrap(Y.copy())
    backend = TorchBackend(make(), loss=loss)
    data = opened(backend, (x, y)).data
    batch = data.batch(np.arange(len(data)))
    state = backend.initial_state()
    first = backend.forward(state, batch)
    for _ in range(2):
        torch.testing.assert_close(backend.forward(state, batch), first)
        torch.testing.assert_close(backend.forward_many([state, state], batch)[1], first)
        backend.sgd_step(state, batch, lr=0.1, seed=0)
        backend.training_losses(state, batch, seed=0)
        if loss is None:
            tangent = torch.ones_like(backend.ravel(state))
            backend.jvp(state, tangent, batch)
            backend.hvp(state, tangent, batch)
            backend.features(state, batch)
            backend.sample_gradients(state, batch)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def test_a_model_that_writes_would_change_the_batch_without_copies() -> None:
    x = torch.from_numpy(X.copy())
    InPlace()(x)
    assert not np.array_equal(x, X)


def test_a_closing_softmax_is_looked_through() -> None:
    torch.manual_seed(0)
    model = trained(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    plain, closed = (opened(m, (X, Y)) for m in (model, nn.Sequential(*model, nn.Softmax(1))))
    np.testing.assert_allclose(closed.seen.losses, plain.seen.losses, rtol=1e-3, atol=1e-5)
    state, batch = closed.backend.initial_state(), closed.data.batch(np.arange(N))
    tangent = torch.ones_like(closed.backend.ravel(state))
    start = plain.backend.initial_state()
    for name in ("jvp", "hvp"):
        found = getattr(closed.backend, name)(state, tangent, batch)
        wanted = getattr(plain.backend, name)(start, tangent, batch)
        torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-3)
    # without a look at the data, probabilities count as scores
    blind = TorchBackend(nn.Sequential(*model, nn.Softmax(1)))
    assert blind.forward(blind.initial_state(), (X, Y)).mean() > 0.5
    again = closed.backend.reading(batch)
    torch.testing.assert_close(again.forward(state, batch), closed.backend.forward(state, batch))


def test_a_closing_sigmoid_is_looked_through() -> None:
    torch.manual_seed(0)
    y = (Y == 0).astype(np.float32)[:, None]
    fit = nn.functional.binary_cross_entropy_with_logits
    model = trained(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1), y=y, loss=fit)
    plain, closed = (
        opened(m, (X, y), loss="binary_cross_entropy")
        for m in (model, nn.Sequential(*model, nn.Sigmoid()))
    )
    np.testing.assert_allclose(closed.seen.losses, plain.seen.losses, rtol=1e-3, atol=1e-5)


def test_scores_between_zero_and_one_stay_scores() -> None:
    torch.manual_seed(0)
    y = np.ones((N, 1), np.float32)
    model = nn.Linear(5, 1)
    with torch.no_grad():
        model.weight.mul_(0.01)
        model.bias.fill_(0.6)
    given = opened(model, (X, y), loss="binary_cross_entropy")
    expected = nn.functional.binary_cross_entropy_with_logits(
        model(torch.from_numpy(X)), torch.from_numpy(y), reduction="none"
    )
    weak = given.backend.forward(given.backend.initial_state(), (X, y))
    # a loss of .44 as scores and of .51 as probabilities: the better reading is taken
    torch.testing.assert_close(weak, expected.detach()[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("shape", ["column", "flat"])
def test_labels_do_not_decide_whether_outputs_are_probabilities(right: bool, shape: str) -> None:
    """Weak scores in 0 … 1 stay scores, and a sigmoid is a sigmoid, whatever the labels say."""
    x = np.random.default_rng(0).random((80, 2), np.float32)
    y = (x.sum(1) > 1) == right
    y = y.astype(np.float32)[:, None] if shape == "column" else y.astype(np.float32)
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.fill_(0.4)
        model.bias.fill_(0.05)
    ends = [] if shape == "column" else [nn.Flatten(0)]
    logits = model(torch.from_numpy(x)).reshape(y.shape)
    expected = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(y), reduction="none"
    ).reshape(len(x))
    for closed in ([], [nn.Sigmoid()]):
        given = opened(nn.Sequential(model, *closed, *ends), (x, y), loss="binary_cross_entropy")
        np.testing.assert_allclose(given.seen.losses, expected.detach(), rtol=1e-3, atol=1e-5)


def language_model(**settings: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=8, n_embd=16, n_layer=1, n_head=2, **settings
    )
    return transformers.GPT2LMHeadModel(config)


def tokens() -> dict[str, np.ndarray[Any, Any]]:
    ids = RNG.integers(0, 11, (12, 6))
    labels = ids.copy()
    labels[3, 4:] = -100
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": labels}


def by_the_model(model: Any, batch: Any) -> list[float]:
    model.eval()
    rows = [{k: torch.from_numpy(v[i : i + 1]) for k, v in batch.items()} for i in range(12)]
    with torch.no_grad():
        return [float(model(**row).loss) for row in rows]


def test_a_causal_language_model_shifts_its_labels() -> None:
    model, batch = language_model(), tokens()
    given = opened(model, batch)
    np.testing.assert_allclose(given.seen.losses, by_the_model(model, batch), rtol=1e-5)
    ahead = {
        "input_ids": batch["input_ids"],
        "attention_mask": batch["attention_mask"],
        "labels": np.hstack([batch["labels"][:, 1:], np.full((12, 1), -100)]),
    }
    np.testing.assert_allclose(opened(model, ahead).seen.losses, given.seen.losses, rtol=1e-5)
    state = given.backend.initial_state()
    blocks = given.backend.kronecker(state, batch, seed=0)
    assert all(np.isfinite(np.asarray(block.outputs)).all() for block in blocks)


def test_a_causal_language_model_is_scored() -> None:
    model = language_model(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    start = RNG.integers(0, 11, (N, 1))
    ids = (start + np.arange(6)) % 11  # each token is the next number
    ids[7, 3:] = [0, 0, 0]
    batch = {"input_ids": ids, "labels": ids}
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        model(**{k: torch.from_numpy(v) for k, v in batch.items()}).loss.backward()
        optimizer.step()
    scores = gx.Loss().fit(model, batch, progress=False)
    assert np.median(scores.suspicion()) < 1.0
    influence = gx.GEX(snapshots=4).fit(model, batch, progress=False)
    assert int(np.argmax(influence.suspicion())) == 7


def test_a_masked_language_model_does_not_shift() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=11, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=8,
    )  # fmt: skip
    model, batch = transformers.BertForMaskedLM(config), tokens()
    found = opened(model, batch).seen.losses
    np.testing.assert_allclose(found, by_the_model(model, batch), rtol=1e-5)


def loader(**settings: Any) -> Any:
    rows = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return torch.utils.data.DataLoader(rows, **settings)


def in_reverse() -> Any:
    return torch.utils.data.BatchSampler(range(N - 1, -1, -1), 8, drop_last=False)


class Buckets(torch.utils.data.Sampler[Any]):
    def __iter__(self) -> Any:
        yield from np.arange(N).reshape(-1, 8).tolist()[::-1]

    def __len__(self) -> int:
        return N // 8


@pytest.mark.parametrize(
    "settings",
    [{}, {"shuffle": True}, {"batch_size": None}, {"batch_sampler": in_reverse()},
     {"batch_sampler": Buckets()}],
)  # fmt: skip
def test_a_loader_of_every_sample_is_scored_by_the_positions_of_its_dataset(settings: Any) -> None:
    given = opened(nn.Linear(5, 3), loader(**settings))
    assert len(given.data) == N
    np.testing.assert_array_equal(given.data.batch(np.arange(N))[1], Y)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sampler": torch.utils.data.SubsetRandomSampler(range(10))},
         "SubsetRandomSampler gives 10 of the dataset's 96 samples; give torch.utils.data.Subset"),
        ({"batch_sampler": torch.utils.data.BatchSampler(range(10), 4, drop_last=False)},
         "gives 10 of"),
        ({"sampler": torch.utils.data.WeightedRandomSampler([1.0] * N, N)},
         "WeightedRandomSampler draws some samples several times"),
        ({"sampler": torch.utils.data.RandomSampler(range(N), replacement=True)},
         "RandomSampler draws some samples several times"),
        ({"sampler": torch.utils.data.RandomSampler(range(N), num_samples=9)}, "gives 9 of"),
    ],
)  # fmt: skip
def test_a_loader_of_some_samples_is_refused(settings: Any, told: str) -> None:
    with pytest.raises(InvalidDataError, match=told):
        opened(nn.Linear(5, 3), loader(**settings))


def sequences() -> tuple[Any, Any]:
    """Texts of unequal lengths, whose first token tells the class, with one wrong label."""
    datasets = pytest.importorskip("datasets")
    rng = np.random.default_rng(1)
    y = np.arange(N) % 2
    ids = [[1 + int(k), *rng.integers(3, 11, rng.integers(1, 5)).tolist()] for k in y]
    y[9] = 1 - y[9]
    columns = {"input_ids": ids, "label": y.tolist(), "text": ["words"] * N}
    return datasets.Dataset.from_dict(columns), y


def padded(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What DataCollatorWithPadding does, without a tokenizer."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows]
    found = {"input_ids": torch.tensor(ids), "labels": torch.tensor([r["label"] for r in rows])}
    return {**found, "attention_mask": (found["input_ids"] > 0).long()}


def classifier() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=11, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=8, num_labels=2,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def test_a_trainer_is_all_that_a_fit_needs(tmp_path: Any) -> None:
    transformers = pytest.importorskip("transformers")
    rows, y = sequences()
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=12, learning_rate=5e-3, report_to=[],
        per_device_train_batch_size=16, save_strategy="no", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=classifier(), args=arguments, train_dataset=rows, data_collator=padded
    )
    trainer.train()
    before = {name: p.clone() for name, p in trainer.model.state_dict().items()}
    influence = gx.GEX(snapshots=4).fit(trainer, progress=False)
    assert int(influence.ranking(1)[0]) == 9
    np.testing.assert_array_equal(influence.labels, y)
    for name, values in trainer.model.state_dict().items():
        torch.testing.assert_close(values, before[name])
    found = opened(trainer, None).seen.losses
    loader = torch.utils.data.DataLoader(rows, collate_fn=padded)
    np.testing.assert_allclose(opened(trainer.model, loader).seen.losses, found, rtol=1e-5)


def test_unequal_lengths_are_refused_with_the_collator_to_use() -> None:
    rows, _ = sequences()
    with pytest.raises(InvalidDataError, match=r"has rows of unequal lengths; .*collate_fn"):
        opened(classifier(), rows)


def test_columns_that_the_model_does_not_take_are_dropped() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, 3)

        def forward(self, x: Any) -> Any:
            return self.head(x)

    torch.manual_seed(0)
    model = Named()
    columns = {"x": X, "labels": Y, "weight": np.ones(N), "id": np.arange(N)}
    with pytest.warns(GexWarning, match="left out: weight, id"):
        found = opened(model, columns)
    np.testing.assert_array_equal(found.seen.losses, opened(model, (X, Y)).seen.losses)


def test_a_fit_without_data_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="the fit got no data"):
        gx.GEX().fit(nn.Linear(5, 3))


@pytest.mark.filterwarnings("ignore")  # of Lightning itself
def test_a_lightning_module_is_a_module_like_any_other() -> None:
    lightning = pytest.importorskip("lightning")

    class Lit(lightning.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(5, 3)

        def forward(self, x: Any) -> Any:
            return self.net(x)

        def training_step(self, batch: Any, number: int) -> Any:
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 0.1)

    torch.manual_seed(0)
    model = Lit()
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = lightning.Trainer(max_epochs=20, accelerator="cpu", **quiet)
    trainer.fit(model, loader(batch_size=16))
    trained_loss = opened(model, loader().dataset).seen.losses
    with torch.no_grad():
        expected = nn.functional.cross_entropy(
            model(torch.from_numpy(X)), torch.from_numpy(Y), reduction="none"
        )
    np.testing.assert_allclose(trained_loss, expected, rtol=1e-5, atol=1e-6)
    assert trained_loss.mean() < np.log(3)
