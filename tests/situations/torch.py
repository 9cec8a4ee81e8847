"""What users of PyTorch, Hugging Face and Lightning pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import gexcore as gx
from tests.situations.registry import FINAL, Scored, Situations, blobs, fit, follow_the_readme

torch.set_num_threads(1)
SITUATIONS = Situations("PyTorch")
works, refused = SITUATIONS.works, SITUATIONS.refused

X, Y = blobs()
TX, TY = torch.from_numpy(X), torch.from_numpy(Y)
NAMES = np.array(["ant", "bee", "cat"])
FRAME = pd.DataFrame(X, columns=list("abcd"))
cross = nn.functional.cross_entropy


def net(width: int = 3, features: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, width))


def plain(model: nn.Module, x: torch.Tensor = TX, y: torch.Tensor = TY) -> Any:
    """Cross-entropy by PyTorch itself."""
    model.eval()
    with torch.no_grad():
        return cross(model(x), y, reduction="none").numpy()


class Rows(Dataset[Any]):
    """A map-style dataset of the user's own."""

    def __init__(self, bad: int = -1, form: Any = None) -> None:
        self.bad, self.form = bad, form or (lambda i: (X[i], int(Y[i])))

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Any:
        if i == self.bad:
            raise OSError("cannot identify image file 'cat_07.jpg'")
        return self.form(i)


# --- arrays and tables ------------------------------------------------------------------------


@works("`fit(model, x, y)`, NumPy arrays")
def arrays() -> Any:
    return Scored(fit(net(), X, Y), plain(net()))


@works("`fit(model, (x, y))`, tensors")
def tensors() -> Any:
    return Scored(fit(net(), (TX, TY)), plain(net()))


@works("`fit(model, x, y)`, lists of numbers")
def lists() -> Any:
    return Scored(fit(net(), X.tolist(), Y.tolist()), plain(net()))


@works('`fit(model, frame, label="species")`; `to_frame()` has the index of the frame')
def frame() -> Any:
    table = FRAME.assign(species=NAMES[Y]).set_index(pd.Index(range(100, 148)))
    found = fit(net(), table, label="species")
    assert list(found.to_frame().index) == list(range(100, 148))
    return Scored(found, plain(net()))


@works("`fit(model, frame, series)`")
def frame_and_series() -> Any:
    return Scored(fit(net(), FRAME, pd.Series(Y)), plain(net()))


@works("labels that are words; results show the words")
def words() -> Any:
    found = fit(net(), X, NAMES[Y])
    assert found.to_frame()["label"].tolist() == NAMES[Y].tolist()
    return Scored(found, plain(net()))


@works("labels that are a `pandas.Categorical`")
def categorical() -> Any:
    return Scored(fit(net(), X, pd.Categorical(NAMES[Y])), plain(net()))


@works("labels of any hashable type, such as tuples")
def hashable() -> Any:
    labels = np.empty(len(Y), object)
    labels[:] = [("kind", int(k)) for k in Y]
    return Scored(fit(net(), X, labels), plain(net()))


@works("labels as a column, shape (N, 1)")
def label_column() -> Any:
    return Scored(fit(net(), X, Y[:, None]), plain(net()))


@works("labels as one-hot rows of floats")
def one_hot() -> Any:
    return Scored(fit(net(), X, np.eye(3, dtype=np.float32)[Y]), plain(net()))


@works("labels of type uint8 or int32")
def small_integers() -> Any:
    return Scored(fit(net(), X, Y.astype(np.uint8)), plain(net()))


@works("inputs in float64 for a model in float32")
def double() -> Any:
    return Scored(fit(net(), X.astype(np.float64), Y), plain(net()))


@works("a model in bfloat16")
def half() -> Any:
    model = net().to(torch.bfloat16)
    return Scored(
        fit(model, X, Y), cross(model(TX.bfloat16()).float(), TY, reduction="none").detach()
    )


@works("a list of pairs `[(x0, y0), (x1, y1), …]`")
def pairs() -> Any:
    return Scored(fit(net(), [(X[i], int(Y[i])) for i in range(48)]), plain(net()))


@works("a list of batches `[(x, y), …]`")
def batches() -> Any:
    return Scored(fit(net(), [(TX[:30], TY[:30]), (TX[30:], TY[30:])]), plain(net()))


@works("a list of dicts, one per sample")
def dicts() -> Any:
    rows = [{"input": X[i], "label": int(Y[i])} for i in range(48)]
    return Scored(fit(net(), rows), plain(net()))


@refused("`zip(x, y)`", "give list(data)")
def zipped() -> Any:
    fit(net(), zip(X, Y, strict=True))


@refused("a generator of batches", "give list(data)")
def generator() -> Any:
    fit(net(), ((TX[i : i + 8], TY[i : i + 8]) for i in range(0, 48, 8)))


@refused("a frame without its column of labels", "give label='column'")
def no_label() -> Any:
    fit(net(), FRAME)


@refused("a frame with a column of text", "encode it, or leave it out")
def text_column() -> Any:
    fit(net(5), FRAME.assign(word="a"), Y)


@works("a frame with more columns than the model reads, `inputs=[...]`")
def chosen_columns() -> Any:
    table = FRAME.assign(when="today", species=Y)
    return Scored(fit(net(), table, label="species", inputs=list("abcd")), plain(net()))


@works("`fit(model, x, y, weights)` as `(x, y, weights)`", "weights are left out")
def weights() -> Any:
    return Scored(fit(net(), (TX, TY, torch.rand(48))), plain(net()))


@refused("NaN in the targets, arrays", "first at position 5")
def nan_targets() -> Any:
    y = X[:, 0].copy()
    y[5] = np.nan
    fit(net(1), X, y, loss="squared_error")


@refused("NaN in the targets, a dataset", "first at position 5")
def nan_targets_in_a_dataset() -> Any:
    y = X[:, 0].copy()
    y[5] = np.nan
    fit(net(1), Rows(form=lambda i: (X[i], y[i])), loss="squared_error")


@refused("NaN in the inputs", "first at position 7")
def nan_inputs() -> Any:
    x = X.copy()
    x[7, 1] = np.nan
    fit(net(), x, Y)


@refused("missing labels, `None` or NaN", "leave those samples out")
def missing_labels() -> Any:
    fit(net(), X, [None if i == 3 else str(k) for i, k in enumerate(Y)])


@refused("samples whose label is −100", "leave those samples out")
def ignored_labels() -> Any:
    y = Y.copy()
    y[4] = -100
    fit(net(), X, y)


@refused("labels 1 … K for a model of K classes", "renumber the labels")
def from_one() -> Any:
    fit(net(), X, Y + 1)


@refused("inputs of another width than the model's", "the model cannot take this batch")
def width() -> Any:
    fit(net(features=6), X, Y)


@refused("inputs and labels of unequal numbers", "unequal lengths")
def lengths() -> Any:
    fit(net(), X, Y[:40])


@refused("the model's class, not an object", "give a trained object, not its class")
def a_class() -> Any:
    fit(nn.Linear, X, Y)


@refused("a state dict in place of a model", "give the model that holds the weights")
def weights_alone() -> Any:
    fit(net().state_dict(), X, Y)


@refused("the path of a checkpoint", "load the model and give the object")
def a_path() -> Any:
    fit("model.pt", X, Y)


# --- datasets and loaders ---------------------------------------------------------------------


@works("a `TensorDataset`")
def tensor_dataset() -> Any:
    return Scored(fit(net(), TensorDataset(TX, TY)), plain(net()))


@works("a `Dataset` of the user's own")
def own_dataset() -> Any:
    return Scored(fit(net(), Rows()), plain(net()))


@works("an object with `__len__` and `__getitem__` that is no `Dataset`")
def duck() -> Any:
    class Duck:
        def __len__(self) -> int:
            return 48

        def __getitem__(self, i: int) -> Any:
            return X[i], Y[i]

    return Scored(fit(net(), Duck()), plain(net()))


@works('a dataset whose samples are dicts `{"x": …, "label": …}`')
def dataset_of_dicts() -> Any:
    return Scored(fit(net(), Rows(form=lambda i: {"input": X[i], "label": Y[i]})), plain(net()))


@works("a dataset with labels of shape (1,)")
def dataset_of_columns() -> Any:
    return Scored(fit(net(), Rows(form=lambda i: (X[i], Y[i : i + 1]))), plain(net()))


@works("a dataset of `(x, y, weight)`", "weights are left out")
def dataset_of_weights() -> Any:
    return Scored(fit(net(), Rows(form=lambda i: (X[i], Y[i], 0.5))), plain(net()))


@works("a shuffled `DataLoader`: scores have the order of its dataset")
def loader() -> Any:
    data = DataLoader(TensorDataset(TX, TY), batch_size=8, shuffle=True)
    return Scored(fit(net(), data), plain(net()))


@works("a `Subset`")
def subset() -> Any:
    some = list(range(0, 48, 2))
    found = fit(net(), torch.utils.data.Subset(TensorDataset(TX, TY), some))
    return Scored(found, plain(net())[some])


@works("a `ConcatDataset`")
def concat() -> Any:
    parts = [TensorDataset(TX[:20], TY[:20]), TensorDataset(TX[20:], TY[20:])]
    return Scored(fit(net(), torch.utils.data.ConcatDataset(parts)), plain(net()))


@refused("a loader with `SubsetRandomSampler`", "Subset(dataset, positions)")
def sampler() -> Any:
    some = torch.utils.data.SubsetRandomSampler(range(10))
    fit(net(), DataLoader(TensorDataset(TX, TY), sampler=some))


@refused("a loader with `WeightedRandomSampler`", "without a sampler")
def weighted_sampler() -> Any:
    many = torch.utils.data.WeightedRandomSampler([1.0] * 48, 48)
    fit(net(), DataLoader(TensorDataset(TX, TY), sampler=many))


@refused("an `IterableDataset`", "list(dataset)")
def stream() -> Any:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return zip(X, Y, strict=True)

    fit(net(), Stream())


@refused("a dataset with a file that cannot be read", "sample 7 of the dataset")
def corrupt() -> Any:
    fit(net(), Rows(bad=7))


@refused("a loader whose `collate_fn` drops samples", "one that keeps every sample")
def dropping() -> Any:
    def collate(rows: Any) -> Any:
        return torch.utils.data.default_collate([row for row in rows if row[1] != 2])

    fit(net(), DataLoader(Rows(), batch_size=8, collate_fn=collate))


@works("`fit(model, dataset, collate_fn=pad)`, sequences of unequal lengths")
def collated() -> Any:
    rows, model = sequences(), Pooled()
    expected = plain(model, pad(rows)[0], pad(rows)[1])
    return Scored(fit(model, Rows2(rows), collate_fn=pad), expected)


@refused("sequences of unequal lengths without a collator", "collate_fn")
def uneven() -> Any:
    fit(Pooled(), Rows2(sequences()))


def sequences() -> list[tuple[torch.Tensor, int]]:
    torch.manual_seed(0)
    return [(torch.randint(1, 9, (int(n),)), int(n) % 2) for n in torch.randint(2, 6, (30,))]


def pad(rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
    ids = nn.utils.rnn.pad_sequence([row[0] for row in rows], batch_first=True)
    return ids, torch.tensor([row[1] for row in rows])


class Rows2(Dataset[Any]):
    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


class Pooled(nn.Module):
    def __init__(self, **settings: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(9, 4, **settings)
        self.head = nn.Linear(4, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        mask = (ids > 0).unsqueeze(-1)
        return self.head((self.embed(ids) * mask).sum(1) / mask.sum(1))


# --- models -----------------------------------------------------------------------------------


@works("`nn.Embedding(sparse=True)`")
def sparse() -> Any:
    ids, y = pad(sequences())
    return Scored(fit(Pooled(sparse=True), ids, y), plain(Pooled(), ids, y))


@works("a model under `torch.compile`")
def compiled() -> Any:
    return Scored(fit(torch.compile(net()), X, Y), plain(net()))


@works("`DataParallel`")
def parallel() -> Any:
    return Scored(fit(nn.DataParallel(net()), X, Y), plain(net()))


@works("`torch.jit.script(model)`")
def scripted() -> Any:
    return Scored(fit(torch.jit.script(net()), X, Y), plain(net()))


@works("`torch.jit.trace(model, x)`")
def traced() -> Any:
    return Scored(fit(torch.jit.trace(net(), TX), X, Y), plain(net()))


@works("a model with BatchNorm and dropout, left in training mode")
def modes() -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    found = fit(model.train(), X, Y)
    assert model.training
    return Scored(found, plain(model))


@works("a layer that writes in place, `Hardtanh(inplace=True)`; `x` stays as it is")
def in_place() -> Any:
    model = nn.Sequential(nn.Hardtanh(inplace=True), net())
    before, expected = X.copy(), plain(model, TX.clone())
    found = fit(model, X, Y)
    np.testing.assert_array_equal(X, before)
    return Scored(found, expected)


@works("a model that ends in a softmax")
def softmax() -> Any:
    return Scored(fit(nn.Sequential(net(), nn.Softmax(1)), X, Y), plain(net()))


@works("a model that ends in a log-softmax")
def log_softmax() -> Any:
    return Scored(fit(nn.Sequential(net(), nn.LogSoftmax(1)), X, Y), plain(net()))


@works('a model that ends in a sigmoid, `loss="binary_cross_entropy"`')
def sigmoid() -> Any:
    y = (Y == 0).astype(np.float32)
    found = fit(nn.Sequential(net(1), nn.Sigmoid()), X, y, loss="binary_cross_entropy")
    logits, target = net(1)(TX)[:, 0].detach(), torch.from_numpy(y)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return Scored(found, expected)


@works('a regression, `loss="squared_error"`, targets (N,) and outputs (N, 1)')
def regression() -> Any:
    found = fit(net(1), X, X[:, 0], loss="squared_error")
    return Scored(found, (net(1)(TX)[:, 0].detach() - TX[:, 0]) ** 2)


@refused("a regression without `loss=`", "loss='squared_error'")
def regression_without_loss() -> Any:
    fit(net(1), X, X[:, 0])


@refused("one output under cross-entropy", "use loss='binary_cross_entropy'")
def one_output() -> Any:
    fit(net(1), X, (Y == 0).astype(np.int64))


@works('`loss=nn.CrossEntropyLoss(reduction="none")`')
def loss_module() -> Any:
    return Scored(fit(net(), X, Y, loss=nn.CrossEntropyLoss(reduction="none")), plain(net()))


@works("`loss=nn.CrossEntropyLoss()`, with its mean")
def loss_with_mean() -> Any:
    return Scored(fit(net(), X, Y, loss=nn.CrossEntropyLoss()), plain(net()))


@works("`loss=nn.functional.cross_entropy`, with its mean")
def loss_function_with_mean() -> Any:
    return Scored(fit(net(), X, Y, loss=cross), plain(net()))


@refused("a loss of the whole batch", "leave the mean out")
def mean_loss() -> Any:
    fit(net(), X, Y, loss=lambda output, target: (output.logsumexp(1) - output[:, 0]).mean())


@works('a weighted loss, `CrossEntropyLoss(weight=…, reduction="none")`')
def weighted_loss() -> Any:
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]), reduction="none")
    found = fit(net(), X, Y, loss=loss)
    np.testing.assert_allclose(found.checkpoint_losses, loss(net()(TX), TY).detach(), rtol=1e-4)


@dataclass
class Output:
    scores: torch.Tensor
    hidden: torch.Tensor


class Returns(nn.Module):
    """A model that returns its scores in a container."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.body, self.form = net(), form

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(self.body(x))


@works("a model that returns a tuple, `loss=lambda out, y: …out[0]…`")
def returns_tuple() -> Any:
    found = fit(
        Returns(lambda s: (s, 2 * s)), X, Y, loss=lambda out, y: cross(out[0], y, reduction="none")
    )
    return Scored(found, plain(net()))


@works('a model that returns a dict, `loss=lambda out, y: …out["scores"]…`')
def returns_dict() -> Any:
    found = fit(
        Returns(lambda s: {"scores": s}), X, Y,
        loss=lambda out, y: cross(out["scores"], y, reduction="none"),
    )  # fmt: skip
    return Scored(found, plain(net()))


@works("a model that returns a dataclass, `loss=lambda out, y: …out.scores…`")
def returns_dataclass() -> Any:
    found = fit(
        Returns(lambda s: Output(s, s)), X, Y,
        loss=lambda out, y: cross(out.scores, y, reduction="none"),
    )  # fmt: skip
    return Scored(found, plain(net()))


@works('a model that returns `{"logits": …}`')
def returns_logits() -> Any:
    return Scored(fit(Returns(lambda s: {"logits": s}), X, Y), plain(net()))


@refused("a model that returns a tuple, without `loss=`", "give loss= a function of that output")
def tuple_without_loss() -> Any:
    fit(Returns(lambda s: (s, s)), X, Y)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.body(torch.cat([left, right], 1))


@works("two inputs, `(x1, x2, y)`")
def two_inputs() -> Any:
    return Scored(fit(Two(), (X[:, :2], X[:, 2:], Y)), plain(net()))


@works('inputs as a dict, `fit(model, {"left": …, "right": …}, y)`')
def dict_inputs() -> Any:
    return Scored(fit(Two(), {"left": X[:, :2], "right": X[:, 2:]}, Y), plain(net()))


@works("a dict with columns that `forward` does not take", "left out: weight, id")
def extra_columns() -> Any:
    columns = {"left": X[:, :2], "right": X[:, 2:], "weight": Y, "id": Y, "labels": Y}
    return Scored(fit(Two(), columns), plain(net()))


@works("a model whose `forward` takes the whole batch as one dict")
def whole_batch() -> Any:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net()

        def forward(self, batch: Any) -> Any:
            return self.body(torch.cat([batch["left"], batch["right"]], 1))

    found = fit(Whole(), {"left": X[:, :2], "right": X[:, 2:], "label": Y})
    return Scored(found, plain(net()))


@works("a model with the user's forward hooks: they do not run on copies")
def hooks() -> Any:
    model, seen = net(), []
    model[0].register_forward_hook(lambda *a: seen.append(a[-1].shape))
    found = fit(model, X, Y)
    assert len(seen) <= 2, len(seen)
    return Scored(found, plain(model))


@works("a model with a hook that changes its output")
def changing_hook() -> Any:
    model = net()
    model.register_forward_hook(lambda module, args, output: 2 * output)
    return Scored(fit(model, X, Y), plain(model))


@works("frozen layers stay as they are")
def frozen() -> Any:
    model = net()
    model[0].requires_grad_(False)
    return Scored(fit(model, X, Y), plain(net()))


@refused("a model without trainable parameters", "set requires_grad")
def all_frozen() -> Any:
    fit(net().requires_grad_(False), X, Y)


@refused("a lazy module that never ran", "run the model on one batch first")
def lazy() -> Any:
    fit(nn.Sequential(nn.LazyLinear(3)), X, Y)


@works('checkpoints `{"model_state_dict": …, "optimizer_state_dict": …}`')
def nested_checkpoint() -> Any:
    kept = [{"model_state_dict": net().state_dict(), "optimizer_state_dict": {}, "epoch": 3}]
    return Scored(
        gx.MeanMemberLoss(checkpoints=kept).fit(net(), X, Y, progress=False), plain(net())
    )


@works("checkpoints with the prefix `module.` of `DataParallel`")
def prefixed_checkpoint() -> Any:
    kept = [nn.DataParallel(net()).state_dict()]
    return Scored(
        gx.MeanMemberLoss(checkpoints=kept).fit(net(), X, Y, progress=False), plain(net())
    )


@works('checkpoints of Lightning, `{"state_dict": …}`')
def lightning_checkpoint() -> Any:
    kept = [{"state_dict": net().state_dict(), "hyper_parameters": {}}]
    return Scored(
        gx.MeanMemberLoss(checkpoints=kept).fit(net(), X, Y, progress=False), plain(net())
    )


@refused("a checkpoint of another architecture", "a model of the same architecture")
def other_checkpoint() -> Any:
    gx.MeanMemberLoss(checkpoints=[net(5).state_dict()]).fit(net(), X, Y, progress=False)


@works("images (N, 3, H, W) in uint8")
def images() -> Any:
    torch.manual_seed(0)
    x = torch.randint(0, 255, (20, 3, 8, 8), dtype=torch.uint8)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    return Scored(fit(model, x, TY[:20]), plain(model, x.float(), TY[:20]))


@works("labels per pixel, −100 where none is known")
def pixels() -> Any:
    torch.manual_seed(0)
    x, y = torch.rand(12, 1, 4, 4), torch.randint(0, 3, (12, 4, 4))
    y[2, 1] = -100
    model = nn.Conv2d(1, 3, 3, padding=1)
    losses = cross(model(x), y, reduction="none").detach()
    return Scored(fit(model, x, y), losses.sum((1, 2)) / (y != -100).sum((1, 2)))


@works('several labels per sample, `loss="binary_cross_entropy"`')
def multi_label() -> Any:
    y = torch.eye(3)[TY]
    found = fit(net(), TX, y, loss="binary_cross_entropy")
    losses = nn.functional.binary_cross_entropy_with_logits(net()(TX), y, reduction="none")
    return Scored(found, losses.sum(1).detach())


@works("the same, `part_suspicion()`: one score for each label")
def parts_of_labels() -> Any:
    y = torch.eye(3)[TY]
    found = FINAL.fit(net(), TX, y, loss="binary_cross_entropy", progress=False)
    losses = nn.functional.binary_cross_entropy_with_logits(net()(TX), y, reduction="none")
    np.testing.assert_allclose(found.part_suspicion(), losses.detach(), rtol=1e-4)


@works("labels per pixel, `part_suspicion()`: NaN where none is known")
def parts_of_pixels() -> Any:
    torch.manual_seed(0)
    x, y = torch.rand(12, 1, 4, 4), torch.randint(0, 3, (12, 4, 4))
    y[2, 1] = -100
    model = nn.Conv2d(1, 3, 3, padding=1)
    losses = cross(model(x), y, reduction="none").detach().masked_fill(y == -100, torch.nan)
    found = FINAL.fit(model, x, y, progress=False).part_suspicion()
    np.testing.assert_allclose(found, losses, rtol=1e-4)


@refused("`part_suspicion()` of one label per sample", "use suspicion()")
def one_part() -> Any:
    fit(net(), X, Y).part_suspicion()


@refused("`part_suspicion()` of a loss of the user's own", "SupportsPartLosses")
def own_parts() -> Any:
    fit(net(), X, Y, loss=lambda out, y: cross(out, y, reduction="none")).part_suspicion()


# --- Lightning --------------------------------------------------------------------------------


class Lit(lightning.LightningModule):
    """A module whose step has the loss, and logs it."""

    def __init__(self, loss: Any = None, width: int = 3) -> None:
        super().__init__()
        self.body = net(width)
        self.loss = loss or cross

    def forward(self, x: Any) -> Any:
        return self.body(x)

    def training_step(self, batch: Any, number: int) -> Any:
        x, y = batch
        loss = self.loss(self(x), y)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


class Arrays(lightning.LightningDataModule):
    def setup(self, stage: str) -> None:
        self.data = TensorDataset(TX, TY)

    def train_dataloader(self) -> Any:
        return DataLoader(self.data, batch_size=16, shuffle=True)


@works("a LightningModule, `fit(module, x, y)`; a named loss that agrees with `training_step`")
def lit() -> Any:
    return Scored(fit(Lit(), X, Y), plain(net()))


@works("a LightningModule whose `training_step` has a loss of its own (focal)")
def lit_own_loss() -> Any:
    def focal(output: Any, y: Any) -> Any:
        return ((1 - torch.exp(-cross(output, y))) ** 2 * cross(output, y)).mean()

    losses = torch.from_numpy(plain(net()))
    return Scored(fit(Lit(focal), X, Y), (1 - torch.exp(-losses)) ** 2 * losses)


@works("a LightningModule with label smoothing in its step")
def lit_smoothed() -> Any:
    loss = nn.CrossEntropyLoss(label_smoothing=0.2)
    expected = cross(net()(TX), TY, reduction="none", label_smoothing=0.2).detach()
    return Scored(fit(Lit(loss), X, Y), expected)


@works("a LightningModule with a squared error in its step")
def lit_regression() -> Any:
    found = fit(Lit(lambda out, y: nn.functional.mse_loss(out[:, 0], y), 1), X, X[:, 0])
    return Scored(found, (net(1)(TX)[:, 0].detach() - TX[:, 0]) ** 2)


@works('a LightningModule whose step returns `{"loss": …}`')
def lit_dict() -> Any:
    class Told(Lit):
        def training_step(self, batch: Any, number: int) -> Any:
            return {"loss": super().training_step(batch, number), "more": 1}

    return Scored(fit(Told(), X, Y), plain(net()))


@works("`fit(module, datamodule)`, a LightningDataModule")
def lit_datamodule() -> Any:
    return Scored(fit(Lit(), Arrays()), plain(net()))


@works("`fit(trainer)`, a Trainer of Lightning after its fit")
def lit_trainer() -> Any:
    trainer, module = quiet_trainer(), Lit()
    trainer.fit(module, Arrays())
    return Scored(fit(trainer), plain(module.body))


@works("`fit(trainer)` after `trainer.fit(module, loader)`")
def lit_trainer_with_loader() -> Any:
    trainer, module = quiet_trainer(), Lit()
    trainer.fit(module, DataLoader(TensorDataset(TX, TY), batch_size=16))
    return Scored(fit(trainer), plain(module.body))


@refused("a Trainer of Lightning before its fit", "no training data yet")
def lit_trainer_without_fit() -> Any:
    trainer = quiet_trainer()
    trainer.strategy.connect(Lit())
    fit(trainer)


@refused("a LightningModule whose step needs its Trainer", "give loss='cross_entropy'")
def lit_needs_trainer() -> Any:
    class Attached(Lit):
        def training_step(self, batch: Any, number: int) -> Any:
            return super().training_step(batch, number) * self.trainer.current_epoch

    fit(Attached(), X, Y)


@refused("a LightningModule with manual optimisation", "give loss='cross_entropy'")
def lit_manual() -> Any:
    class Manual(Lit):
        def training_step(self, batch: Any, number: int) -> None:
            super().training_step(batch, number)

    fit(Manual(), X, Y)


def quiet_trainer() -> Any:
    names = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    quiet = dict.fromkeys(names, False)
    return lightning.Trainer(max_epochs=1, accelerator="cpu", **quiet)


# --- the README's example ---------------------------------------------------------------------


def learnt(model: Any) -> Any:
    """The model after some steps on its data."""
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        cross(model(TX), TY).backward()
        optimizer.step()
    return model


@works("the README's example with a DataFrame")
def readme_frame() -> None:
    follow_the_readme(learnt(net()), FRAME, pd.Series(Y))


@works("the README's example with a LightningModule")
def readme_lightning() -> None:
    follow_the_readme(learnt(Lit()), X, Y)
