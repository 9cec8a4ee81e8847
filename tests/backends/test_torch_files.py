"""Models of PyTorch and transformers in files, scored from the shell."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from gexcore.cli import main

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:DeprecationWarning"),
    # PyTorch's own, when it copies an exported program
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.*:DeprecationWarning"),
]
FEW = ("--chains", "2", "--snapshots", "3", "--lr", "0.05", "--quiet")


def rows(out: str = "audit") -> list[dict[str, str]]:
    with Path(out, "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-2, 1, (40, 2)), rng.normal(2, 1, (40, 2))])
    y = np.repeat([0, 1], 40)
    y[[3, 70]] = 1 - y[[3, 70]]
    np.savez("data.npz", x=x.astype(np.float32), y=y)
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
        net.bias.zero_()
    return net


def test_a_torchscript_file(points):
    net = nn.Sequential(points, nn.BatchNorm1d(2, affine=False)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(net).save("model.pt")
    assert main(["score", "model.pt", "data.npz", "--out", "audit", *FEW]) == 0
    worst = sorted(rows(), key=lambda row: -float(row["suspicion"]))[:2]
    assert {row["index"] for row in worst} == {"3", "70"}


def test_a_pickled_module_needs_trust(points, capsys):
    torch.save(points, "model.pt")
    command = ["score", "model.pt", "data.npz", "--out", "audit", *FEW]
    assert main(command) == 2
    assert "add --trust" in capsys.readouterr().err
    assert main([*command, "--trust"]) == 0
    torch.save(points.state_dict(), "weights.pt")
    assert main(["score", "weights.pt", "data.npz", "--out", "o", "--trust"]) == 2
    assert "and no module; build the module in a file" in capsys.readouterr().err


def test_an_exported_program(points):
    size = torch.export.Dim("size", min=1, max=1024)
    program = torch.export.export(points, (torch.zeros(4, 2),), dynamic_shapes=({0: size},))
    torch.export.save(program, "model.pt2")
    assert main(["score", "model.pt2", "data.npz", "--out", "audit", *FEW]) == 0
    assert len(rows()) == 80


def test_pictures_have_their_channels_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(24):
        side = ("dark", "light")[i % 2]
        folder = Path("shades", "light" if i == 4 else side)
        folder.mkdir(parents=True, exist_ok=True)
        level = 40 if side == "dark" else 210
        pixels = np.clip(level + rng.normal(0, 10, (6, 5, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    Path("net.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "def build():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 2, (6, 5)), nn.Flatten())\n"
        "    with torch.no_grad():\n"
        "        net[0].weight[0] = -0.1\n        net[0].weight[1] = 0.1\n"
        "        net[0].bias[:] = torch.tensor([4.5, -4.5])\n"
        "    return net\n"
    )
    assert main(["score", "net.py:build", "shades", "--out", "audit", *FEW]) == 0
    found = rows()
    assert {row["label"] for row in found} == {"dark", "light"}
    worst = max(found, key=lambda row: float(row["suspicion"]))
    names = sorted(path.as_posix() for path in Path("shades").glob("*/*.png"))
    assert names[int(worst["index"])] == "shades/light/04.png"
    assert worst["suggested_label"] == "dark"


def test_a_hugging_face_folder_with_its_tokenizer(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    words = {"good": ["fine", "great", "lovely"], "bad": ["awful", "poor", "sad"]}
    Path("model").mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words["good"], *words["bad"]]
    tokenizer = transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)})
    tokenizer.save_pretrained("model")
    rng = np.random.default_rng(0)
    mood = np.array(["good", "bad"])[np.arange(32) % 2]
    texts = [" ".join(rng.choice(words[m], 3)) for m in mood]
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        # not in the order of their names: the model's own numbers count
        id2label={0: "good", 1: "bad"},
        label2id={"good": 0, "bad": 1},
    )
    model = transformers.BertForSequenceClassification(config)
    told = tokenizer(texts, padding=True, return_tensors="pt")
    labels = torch.tensor([["good", "bad"].index(m) for m in mood])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        model(**told, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained("model")
    given = mood.copy()
    given[6] = "bad"
    frame = pd.DataFrame({"review": texts, "mood": given})
    frame.to_json("reviews.jsonl", orient="records", lines=True)
    command = ["score", "model", "reviews.jsonl", "--text", "review", "--label", "mood"]
    few = ("--chains", "2", "--snapshots", "2", "--lr", "0.001", "--quiet")
    assert main([*command, "--out", "audit", *few]) == 0
    found = rows()
    assert [row["label"] for row in found] == given.tolist()
    worst = max(found, key=lambda row: float(row["suspicion"]))
    assert (worst["index"], worst["suggested_label"]) == ("6", "good")
    assert json.loads(Path("audit/run.json").read_text())["class_names"] == ["good", "bad"]
    assert main(["clean", "audit", "--relabel=argmax", "--rate", "0.03", "--out", "c.jsonl"]) == 0
    cleaned = pd.read_json("c.jsonl", lines=True)
    assert cleaned["mood"].tolist() == mood.tolist()
    assert list(cleaned.columns) == ["review", "mood"]
    frame.assign(mood="neither").to_json("other.jsonl", orient="records", lines=True)
    command[2] = "other.jsonl"
    assert main([*command, "--out", "o"]) == 2
