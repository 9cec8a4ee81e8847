"""Estimators of other libraries for `retraining`: EK-FAC, TRAK, and Gauss-Newton by hand.

    pip install -r bench/peers/requirements/retraining.txt

Each function gives influence of shape (tests, samples) and its cost in forward passes over the
data: 3 for a pass with gradients, and 1 for a forward pass. Solves and projections are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from bench.studies.retraining_problems import Problem
from gexcore.deviations.outputs import curvatures, slopes

Found = tuple[NDArray[np.float64], float]
DAMPINGS = (0.03, 0.1, 0.3, 1.0, 3.0)


def loss_of(problem: Problem, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Loss of each sample."""
    if problem.loss == "squared_error":
        return ((out - y) ** 2).sum(dim=-1)
    return F.cross_entropy(out, y, reduction="none")


def margin_of(problem: Problem, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The output of each sample that trainings are measured by."""
    losses = loss_of(problem, out, y)
    if problem.loss == "squared_error":
        return -losses.clamp_min(1e-12).sqrt()
    return -torch.log(torch.expm1(losses.clamp(1e-7, 50.0)))


def _sets(problem: Problem) -> tuple[TensorDataset, TensorDataset]:
    return tuple(  # type: ignore[return-value]
        TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        for x, y in ((problem.x, problem.y), (problem.test_x, problem.test_y))
    )


def kronfluence(problem: Problem, net: torch.nn.Module) -> Found:
    """EK-FAC by kronfluence with its own damping, on the margin of a test sample."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.task import Task

    class Given(Task):
        def compute_train_loss(self, batch: Any, model: Any, sample: bool = False) -> torch.Tensor:
            x, y = batch
            out = model(x)
            if sample and problem.loss == "squared_error":
                y = out.detach() + torch.randn_like(out)
            elif sample:
                y = torch.multinomial(out.detach().softmax(1), 1).flatten()
            return loss_of(problem, out, y).sum()

        def compute_measurement(self, batch: Any, model: Any) -> torch.Tensor:
            x, y = batch
            return -margin_of(problem, model(x), y).sum()

    task, (train, tests) = Given(), _sets(problem)
    with tempfile.TemporaryDirectory() as folder:
        model = prepare_model(net, task)
        analyzer = Analyzer("case", model, task, cpu=True, output_dir=folder, disable_tqdm=True)
        analyzer.fit_all_factors("ekfac", train, per_device_batch_size=256)
        analyzer.compute_pairwise_scores(
            "pairs", "ekfac", tests, train,
            per_device_query_batch_size=100, per_device_train_batch_size=250,
        )  # fmt: skip
        found = analyzer.load_pairwise_scores("pairs")["all_modules"]
    return found.double().numpy(), 9.0


def dattri(problem: Problem, net: torch.nn.Module) -> Found:
    """EK-FAC of linear layers by dattri, damping 0.01."""
    from dattri.algorithm.influence_function import IFAttributorEKFAC
    from dattri.task import AttributionTask

    def loss(parameters: Any, batch: Any) -> torch.Tensor:
        x, y = batch
        x, y = (x[None], y[None]) if x.ndim == problem.x.ndim - 1 else (x, y)
        return loss_of(problem, torch.func.functional_call(net, parameters, (x,)), y).mean()

    train, tests = (DataLoader(part, batch_size=250) for part in _sets(problem))
    method = IFAttributorEKFAC(
        AttributionTask(loss, net, net.state_dict()),
        damping=0.01,  # type: ignore[arg-type]
    )
    method.cache(train)
    return method.attribute(train, tests).detach().double().numpy().T, 9.0


def captum(problem: Problem, net: torch.nn.Module, checkpoints: list[Any]) -> Found:
    """TracIn of all layers by captum, which loads each checkpoint into the network."""
    from captum.influence import TracInCP

    def load(model: torch.nn.Module, checkpoint: torch.nn.Module) -> float:
        model.load_state_dict(checkpoint.state_dict())
        return 1.0

    train, tests = _sets(problem)
    method = TracInCP(
        net, train, checkpoints, load, loss_fn=torch.nn.CrossEntropyLoss(reduction="sum"),
        batch_size=100, sample_wise_grads_per_batch=True,
    )  # fmt: skip
    found = method.influence(tests.tensors)
    return found.detach().double().numpy(), 3.0 * len(checkpoints)


def trak(problem: Problem, net: torch.nn.Module, strength: float, size: int = 512) -> Found:
    """TRAK of one model by traker."""
    from trak import TRAKer
    from trak.projectors import BasicProjector, ProjectionType

    parameters = sum(v.numel() for v in net.parameters())
    train, tests = (DataLoader(part, batch_size=100) for part in _sets(problem))
    with tempfile.TemporaryDirectory() as folder:
        tracer = TRAKer(
            model=net, task="image_classification", train_set_size=len(problem.x),
            save_dir=folder, device="cpu", use_half_precision=False, lambda_reg=strength,
            projector=BasicProjector(
                parameters, size, 0, ProjectionType.rademacher, torch.device("cpu"), 128
            ),
            proj_dim=size, logging_level=40,
        )  # fmt: skip
        tracer.load_checkpoint(net.state_dict(), model_id=0)
        for batch in train:
            tracer.featurize(batch=batch, num_samples=len(batch[0]))
        tracer.finalize_features()
        tracer.start_scoring_checkpoint("test", net.state_dict(), 0, len(problem.test_x))
        for batch in tests:
            tracer.score(batch=batch, num_samples=len(batch[0]))
        found = np.asarray(tracer.finalize_scores("test"), np.float64)
    return found.T, 4.0


def gauss_newton(problem: Problem, net: torch.nn.Module) -> Iterator[tuple[float, Found]]:
    """Exact influence of Gauss-Newton on margins, for each damping, as a share of the trace."""
    parameters = dict(net.named_parameters())

    def one(given: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out = torch.func.functional_call(net, given, (x[None],))
        return margin_of(problem, out, y[None])[0]

    rows = torch.func.vmap(torch.func.grad(one), (None, 0, 0))

    def gradients(part: TensorDataset) -> torch.Tensor:
        found = [
            torch.cat([v.flatten(1) for v in rows(parameters, x, y).values()], 1).detach()
            for x, y in DataLoader(part, batch_size=50)
        ]
        return torch.cat(found)

    train, tests = _sets(problem)
    ours, theirs = gradients(train), gradients(tests)
    own, cross = (ours @ ours.T).double().numpy(), (theirs @ ours.T).double().numpy()
    with torch.no_grad():
        losses = loss_of(problem, net(train.tensors[0]), train.tensors[1]).double().numpy()
    kind: Any = "margin" if problem.loss == "cross_entropy" else "root"
    slope = np.asarray(slopes(losses, kind))
    root = np.sqrt(np.asarray(curvatures(slope, kind)))
    gram = root[:, None] * own * root
    for damping in DAMPINGS:
        added = damping * np.trace(gram) / len(gram)
        solved = np.linalg.solve(gram + added * np.eye(len(gram)), root[:, None] * own)
        yield damping, ((cross - (cross * root) @ solved) / added * slope, 4.0)
