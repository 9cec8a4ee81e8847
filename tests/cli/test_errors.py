"""Every bad input: its exit code, one sentence, nothing written."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gexcore.backend.plugins import BackendSpec, hookimpl
from gexcore.backend.registry import default_registry

SCORE = ("score", "model.py:build", "data.npz", "--out", "audit")
FEW = ("--chains", "1", "--snapshots", "2", "--lr", "0.1")


@pytest.fixture
def refused(project, run):
    """Run a command that must fail with one sentence and leave no trace."""

    def command(*args, code=2):
        before = sorted(project.iterdir())
        outcome = run(*args)
        assert outcome.code == code
        assert outcome.out == ""
        assert outcome.err.startswith("gexcore: ")
        assert outcome.err.count("\n") == 1
        assert "Traceback" not in outcome.err
        assert [path for path in sorted(project.iterdir()) if path.name != "__pycache__"] == before
        return outcome.err

    return command


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("scroe",), "invalid choice: 'scroe'"),
        (("scroe",), "; did you mean score?; see"),
        (("score", "--method", "gexlni", *SCORE[1:]), "did you mean GEXLin"),
        ((*SCORE, "--chain", "2"), "; did you mean --chains?; see"),
        ((*SCORE, "--scoring", "evaluate"), "; did you mean evaluated?; see"),
        (("score", "model.py:build", "data.npz"), "the following arguments are required: --out"),
        ((*SCORE, "--chain", "2"), "unrecognized arguments: --chain 2"),
        (
            (*SCORE, "--chains", "many"),
            "argument --chains: 'many' is neither a whole number nor auto",
        ),
        ((*SCORE, "--chains", "0"), 'chains is 0, and must be a whole number from 1 up, or "auto"'),
        ((*SCORE, "--snapshots", "-1"), "snapshots is -1, and must be a whole number from 1 up"),
        (
            (*SCORE, "--snapshots", "few"),
            "argument --snapshots: 'few' is neither a whole number nor auto",
        ),
        (
            (*SCORE, "--budget", "cheap"),
            "'cheap' is neither a number of passes over the data, nor one of seconds",
        ),
        (
            (*SCORE, "--budget", "0s"),
            "the budget has seconds=0.0, and must have a positive finite number",
        ),
        (
            (*SCORE, "--method", "LiSSA", "--depth", "many"),
            "argument --depth: 'many' is no whole number",
        ),
        ((*SCORE, "--steps-per-snapshot", "0"), "steps_per_snapshot is 0"),
        ((*SCORE, "--batch-size", "0"), "batch_size is 0"),
        ((*SCORE, "--batch-size", "121"), "batch_size is 121, and the data has 120 samples"),
        ((*SCORE, "--lr", "0"), "lr is 0.0, and must be a finite number above 0"),
        ((*SCORE, "--lr", "nan"), "lr is nan, and must be a finite number above 0"),
        ((*SCORE, "--lr", "fast"), "argument --lr: 'fast' is neither a number nor auto"),
        ((*SCORE, "--momentum", "nan"), "momentum is nan"),
        ((*SCORE, "--weight-decay", "-1"), "weight_decay is -1.0"),
        ((*SCORE, "--scoring", "wild"), "argument --scoring: invalid choice: 'wild'"),
        ((*SCORE, "--backend", "torhc"), "no backend named 'torhc'; installed: "),
        ((*SCORE, "--loss", "huber"), "huber"),
        (
            ("score", "model.py", "data.npz", "--out", "audit"),
            "MODEL is 'model.py'; it must be file.py:callable",
        ),
        (
            ("score", "net.py:build", "data.npz", "--out", "audit"),
            "net.py does not exist; it must be file.py:callable",
        ),
        (
            ("score", "net.joblib", "data.npz", "--out", "audit"),
            "MODEL net.joblib does not exist; it must be file.py:callable",
        ),
        (("score", "no_such.net:build", "data.npz", "--out", "audit"), "No module named 'no_such'"),
        (
            ("score", "model.py:make", "data.npz", "--out", "audit"),
            "model.py has no make; it must be",
        ),
        (
            ("score", "model.py:build", "none.npz", "--out", "audit"),
            "none.npz does not exist; DATA is an .npz file",
        ),
        (
            (*SCORE, "--method", "Shapley"),
            "no method is named 'Shapley'; --method is one of GEX, GEXLin, GEXRidge, IF, Arnoldi, ",
        ),
        (
            (*SCORE, "--method", "LastLayer"),
            "LastLayer wraps another method: add --last-layer to that; --method is one",
        ),
        (
            (*SCORE, "--method", "IF", "--chains", "2"),
            "IF has no setting --chains; leave it out (it has --batch-size, ",
        ),
        (
            (*SCORE, "--method", "Loss", "--seed", "1"),
            "Loss has no setting --seed; leave it out (it has none)",
        ),
        (
            (*SCORE, "--method", "Loss", "--last-layer"),
            "Loss neither steps nor takes derivatives; leave --last-layer out",
        ),
        (
            (*SCORE, "--method", "IF", "--checkpoints", "model.py:build"),
            "IF does not take --checkpoints; leave it out",
        ),
        (
            (*SCORE, "--method", "IF", "--damping", "-1"),
            "damping is -1.0, and must be a finite number from 0 up",
        ),
        (
            (*SCORE, "--method", "IF", "--batch-size", "auto"),
            "batch_size is 'auto', and must be a whole number from 1 up",
        ),
        (
            (*SCORE, "--method", "IF", "--parameters", "head*"),
            "parameters='head*' fits no trainable parameter; choose",
        ),
        (
            (*SCORE, "--method", "TracIn"),
            "TracIn needs --checkpoints; `gexcore score --help` says what that is",
        ),
        (
            (*SCORE, "--method", "TracInRP"),
            "TracInRP needs --checkpoints or --ensemble; `gexcore score --help`",
        ),
        ((*SCORE, "--method", "LOO"), "LOO needs --train; `gexcore score --help`"),
        ((*SCORE, "--method", "AUM"), "AUM needs --recorder; `gexcore score --help`"),
        (
            (*SCORE, "--method", "EL2N"),
            "EL2N needs --checkpoints or --recorder; `gexcore score --help`",
        ),
        (
            (*SCORE, "--method", "ConfidentLearning"),
            "ConfidentLearning needs --probabilities or --train; ",
        ),
        (
            (*SCORE, "--method", "AUM", "--recorder", "run.npz"),
            "run.npz does not exist; --recorder names a file that",
        ),
        (
            (*SCORE, "--method", "AUM", "--recorder", "data.npz"),
            "data.npz was not written by Recorder.save",
        ),
        (
            (*SCORE, "--method", "ConfidentLearning", "--probabilities", "model.py"),
            "model.py cannot be read (",
        ),
        (
            (*SCORE, "--method", "TracIn", "--checkpoints", "model.py:states"),
            "model.py has no states; it must be file.py:callable or package.module:callable, "
            "where the callable returns",
        ),
        (
            (*SCORE, "--method", "TracIn", "--checkpoints", "model.py:build"),
            "checkpoints is of type MLP; give a list",
        ),
        (
            (*SCORE, "--method", "TracIn", "--checkpoints", "model.py:MLP"),
            "model.py:MLP failed (TypeError: ",
        ),
        (
            (*SCORE, "--method", "LOO", "--train", "model.py:build", "--indices", "0,x"),
            "'0,x' is no list of positions",
        ),
        (
            (*SCORE, "--method", "LOO", "--train", "model.py:build", "--indices", "500"),
            "from 0 to 119, the positions",
        ),
        (
            (*SCORE, "--method", "LOO", "--train", "model.py:build"),
            "(TypeError: build() takes 0 positional arguments",
        ),
        (
            ("score", "-", "data.npz", "--out", "audit"),
            "MODEL is '-', and GEX takes a model here; give file.py:call",
        ),
        (
            ("score", "-", "data.npz", "--out", "audit", "--method", "Loss"),
            "MODEL is '-', and Loss takes a model here; give file.py:callable",
        ),
        (
            ("demo", "--noise", "0"),
            "noise is 0.0, and must be above 0 (one label at least) and at most 0.5",
        ),
        (
            ("demo", "--noise", "0.0001"),
            "noise is 0.0001, and must be above 0 (one label at least)",
        ),
        (("demo", "--noise", "nan"), "noise is nan"),
        (("demo", "--backend", "torhc"), "no backend named 'torhc'"),
        (("demo", "--chains", "0"), "chains is 0"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_arguments(refused, args, told):
    assert told in refused(*args)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def build(): return 3", "no backend takes a model of type builtins.int; installed: "),
        ("def build(): pass", "no backend takes a model of type builtins.NoneType"),
        ("build = 3", "model.py has build, which is no callable but of type int"),
        ("def build(path): return path", "build() of model.py failed (TypeError: "),
        (
            "def build(): raise OSError('no weights')",
            "build() of model.py failed (OSError: no weights); called without",
        ),
        ("import sys; sys.exit('usage: me')", "model.py cannot be run (SystemExit: usage: me)"),
        ("def build(:", "model.py cannot be run (SyntaxError: invalid syntax"),
        (
            "import no_such_module",
            "model.py cannot be run (ModuleNotFoundError: No module named 'no_such_module')",
        ),
    ],
)
def test_models_that_are_none(refused, project, source, told):
    (project / "model.py").write_text(source)
    assert told in refused(*SCORE)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda x, y: (x[:-1], y),
            "DATA has 119 inputs and 120 labels; give one label for each input",
        ),
        (lambda x, y: (x[:0], y[:0]), "the data has no samples"),
        (
            lambda x, y: (np.where(np.arange(120)[:, None] == 7, np.nan, x), y),
            "1 samples have values that are not finite, first at position 7",
        ),
        (lambda x, y: (np.where(x > 2, np.inf, x), y), "values that are not finite"),
        (lambda x, y: (x, y + 1), "label 2 is outside 0 … 1"),
        (lambda x, y: (x, y - 1), "label -1 is outside 0 … 1"),
        (lambda x, y: (x, y.astype(float)), "cross-entropy needs integer"),
        (lambda x, y: (x[:, :1], y), "the model takes 2 numbers per sample"),
        (lambda x, y: (x, 1 - y), "the model predicts the given targets no better than a guess"),
    ],
)
def test_data_that_does_not_fit(refused, blobs, change, told):
    x, y = change(*blobs)
    np.savez("data.npz", x=x, y=y)
    assert told in refused(*SCORE)


@pytest.mark.parametrize(
    ("expression", "shape"), [("losses.mean()", "()"), ("losses[:, None]", "(120, 1)")]
)
def test_losses_that_are_not_one_number_per_sample(refused, project, expression, shape):
    (project / "reduced.py").write_text(
        "from gexcore_numpy import NumpyBackend\nfrom model import build as plain\n\nclass "
        "Reduced(NumpyBackend):\n"
        "    def forward(self, state, batch, /):\n        losses = super().forward(state, batch)\n"
        f"        return {expression}\n\ndef build():\n    return Reduced(plain())\n"
    )
    told = refused("score", "reduced.py:build", "data.npz", "--out", "audit")
    assert f"the loss of a batch of 120 samples has shape {shape}; one number per sample" in told


def test_a_backend_brings_its_own_loss(refused, project):
    (project / "own.py").write_text(
        "from gexcore_numpy import NumpyBackend\nfrom model import build as plain\n\ndef "
        "build():\n    return NumpyBackend(plain())\n"
    )
    told = refused("score", "own.py:build", "data.npz", "--out", "audit", "--loss", "cross_entropy")
    assert "the model is a backend, which has its own" in told


def test_a_model_with_nothing_to_train(refused, project):
    (project / "frozen.py").write_text(
        "import torch\n\ndef build():\n    return torch.nn.Linear(2, 2).requires_grad_(False)\n"
    )
    assert "trainable parameters" in refused(
        "score", "frozen.py:build", "data.npz", "--out", "audit"
    )


def test_all_members_diverged(refused):
    told = refused(*SCORE, "--chains", "2", "--snapshots", "2", "--lr", "1e308", code=1)
    assert 'all 4 members have non-finite losses; try lr="auto", a smaller lr' in told


class Absent:
    @hookimpl
    def gexcore_register_backend(self):
        return BackendSpec(
            name="absent",
            factory="no_such_framework.backend:Backend",
            requires=("no_such_framework",),
            hint="pip install 'gexcore[absent]'",
            demo="no_such_framework.demo:train",
        )


@pytest.fixture
def absent():
    default_registry().register(Absent(), "absent")
    yield
    default_registry().unregister("absent")


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize("args", [SCORE, ("demo",)], ids=["score", "demo"])
def test_a_framework_that_is_not_installed(refused, args):
    told = refused(*args, "--backend", "absent")
    assert (
        "needs no_such_framework, which is not installed; try: pip install 'gexcore[absent]'"
        in told
    )


def test_the_demo_without_scikit_learn(refused, monkeypatch):
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "scikit-learn, which is not installed; try: pip install 'gexcore[sklearn]'" in refused(
        "demo"
    )


@pytest.mark.parametrize("args", [("--debug", *SCORE), (*SCORE, "--debug")])
def test_debug_shows_the_traceback_before_the_sentence(project, run, args):
    outcome = run(*args, "--lr", "-1")
    assert outcome.code == 2
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("gexcore: lr is -1.0")


def test_the_unexpected_is_one_sentence_too(refused, project):
    (project / "odd.py").write_text(
        "from gexcore_numpy import NumpyBackend\nfrom model import build as plain\n\nclass "
        "Odd(NumpyBackend):\n"
        "    def sgd_step_(self, state, batch, /, **how):\n"
        "        raise RuntimeError('out of\\nmemory')\n\n"
        "def build():\n    return Odd(plain())\n"
    )
    told = refused("score", "odd.py:build", "data.npz", "--out", "audit", code=1)
    assert told == "gexcore: RuntimeError: out of; --debug shows where\n"


def test_a_process_ends_with_the_code(project):
    command = [sys.executable, "-m", "gexcore", *SCORE, *FEW, "--backend", "torhc"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr.startswith("gexcore: no backend named 'torhc'")
    assert not (project / "audit").exists()


@pytest.mark.filterwarnings("default:steps are")
def test_a_warning_is_told_once_and_another_one_too(project, run):
    lines = ["import warnings", "for place in (1, 2, 3):"]
    lines += ["    warnings.warn_explicit('steps are short', UserWarning, 'net.py', place)"]
    lines += ["warnings.warn('steps are long', stacklevel=1)"]
    (project / "model.py").write_text("\n".join([*lines, (project / "model.py").read_text()]))
    told = run(*SCORE, *FEW).err.splitlines()
    assert told.count("gexcore: warning: steps are short") == 1
    assert told.count("gexcore: warning: steps are long") == 1
