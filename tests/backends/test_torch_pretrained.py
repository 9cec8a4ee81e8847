"""The pretrained weights that a model of transformers names, as a reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gexcore as gx
from gexcore.cli import main
from gexcore.errors import InvalidModelError
from gexcore_torch.pretrained import pretrained
from gexcore_torch.selection import loaded

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)
CLASSES = 3
SIZES = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 8,
}
DATA = {
    "input_ids": torch.arange(60).reshape(20, 3) % 20,
    "labels": torch.arange(20) % CLASSES,
}


@pytest.fixture
def tuned(tmp_path: Path) -> tuple[Any, Any]:
    """An encoder on the disk, and a classifier that was tuned from it."""
    torch.manual_seed(1)
    encoder = transformers.BertModel(transformers.BertConfig(**SIZES))
    encoder.save_pretrained(tmp_path / "encoder")
    model = transformers.BertForSequenceClassification.from_pretrained(
        tmp_path / "encoder", num_labels=CLASSES
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        model(**DATA).loss.backward()
        optimizer.step()
    return encoder, model.eval()


def fit(model: Any, reference: Any) -> Any:
    return gx.GEX(reference=reference).fit(model, DATA, progress=False)


def test_the_weights_that_the_model_names_are_the_reference(tuned: Any) -> None:
    encoder, model = tuned
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    found = fit(model, "pretrained")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found.run.chosen["reference"] == "given"
    assert found.record()["settings"]["reference"] == "pretrained"
    np.testing.assert_array_equal(fit(model, "pretrained").losses, found.losses)
    # by hand: the encoder's weights, and a head that was never trained
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = transformers.BertForSequenceClassification.from_pretrained(
            model.config.name_or_path, num_labels=CLASSES
        )
    assert torch.equal(
        start.bert.embeddings.word_embeddings.weight, encoder.embeddings.word_embeddings.weight
    )
    np.testing.assert_array_equal(fit(model, start).losses, found.losses)
    assert not np.array_equal(fit(model, None).losses[:1], found.losses[:1])


def test_weights_that_are_not_there_are_told_in_one_sentence(tuned: Any, tmp_path: Path) -> None:
    _, model = tuned
    model.save_pretrained(tmp_path / "tuned")
    again = type(model).from_pretrained(tmp_path / "tuned")
    with pytest.raises(InvalidModelError, match="has these weights itself"):
        fit(again, "pretrained")
    (tmp_path / "encoder" / "model.safetensors").unlink()
    with pytest.raises(InvalidModelError, match="not on this disk in the safetensors format"):
        fit(model, "pretrained")
    model.config.name_or_path = "nobody/has-this-model"
    with pytest.raises(InvalidModelError, match="'nobody/has-this-model' of the reference are not"):
        fit(model, "pretrained")
    with pytest.raises(InvalidModelError, match="Linear names no weights of transformers"):
        gx.GEX(reference="pretrained").fit(
            torch.nn.Linear(2, 2), (torch.zeros(8, 2), torch.arange(8) % 2), progress=False
        )


def test_a_folder_is_a_reference_in_the_shell_too(
    tuned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = tuned
    monkeypatch.chdir(tmp_path)
    by_name = fit(model, "encoder")
    np.testing.assert_array_equal(by_name.losses, fit(model, "pretrained").losses)
    words = {f"w{i}": i for i in range(20)}
    tokenizer = transformers.BertTokenizerFast(vocab=words, unk_token="w0", pad_token="w0")
    tokenizer.save_pretrained("tuned")
    model.save_pretrained("tuned")
    rows = [
        json.dumps({"text": f"w{i % 20} w{i % 7}", "mood": f"LABEL_{i % CLASSES}"})
        for i in range(40)
    ]
    Path("rows.jsonl").write_text("\n".join(rows))
    command = ["score", "tuned", "rows.jsonl", "--text", "text", "--label", "mood", "--quiet"]
    assert main([*command, "--out", "audit", "--reference", "encoder"]) == 0
    told = json.loads(Path("audit/run.json").read_text())
    assert told["settings"]["reference"] == "encoder"


def test_adapters_need_no_reference(tuned: Any) -> None:
    model = tuned[1]
    model.peft_config = {"default": None}  # as a model with adapters has it
    with pytest.raises(InvalidModelError, match="has adapters; they shrink towards zero"):
        fit(model, "pretrained")


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("RobertaForMaskedLM", {}),
        ("BertModel", {"num_hidden_layers": 0}),
        ("BertModel", {"vocab_size": 40}),
        ("BertModel", {"hidden_size": 4}),
    ],
)
def test_weights_of_another_architecture_are_no_reference(
    tuned: Any, tmp_path: Path, kind: str, sizes: dict[str, int]
) -> None:
    cls = getattr(transformers, kind)
    cls(cls.config_class(**{**SIZES, **sizes})).save_pretrained(tmp_path / "other")
    with pytest.raises(InvalidModelError, match="of another architecture or size than Bert"):
        pretrained(tuned[1], str(tmp_path / "other"))


def test_a_head_of_other_classes_is_a_fresh_head(tuned: Any, tmp_path: Path) -> None:
    encoder, model = tuned
    other = transformers.BertForSequenceClassification(
        transformers.BertConfig(**SIZES, num_labels=CLASSES + 2)
    )
    other.bert.load_state_dict(encoder.state_dict())
    other.save_pretrained(tmp_path / "other")
    by_name, by_path = (loaded(model, kind(tmp_path / "other")) for kind in (str, Path))
    assert all(map(torch.equal, by_path.params, by_name.params))
    found = pretrained(model, str(tmp_path / "other")).state_dict()
    assert found["classifier.weight"].shape == (CLASSES, SIZES["hidden_size"])
    for name, value in encoder.state_dict().items():
        assert torch.equal(found[f"bert.{name}"], value)


def test_a_broken_file_is_told_in_one_sentence(tuned: Any, tmp_path: Path) -> None:
    (tmp_path / "encoder" / "model.safetensors").write_bytes(b"no tensors" * 9)
    with pytest.raises(InvalidModelError, match="cannot be read into BertForSequenceClass"):
        pretrained(tuned[1])


def test_a_pickle_is_never_read(tuned: Any, tmp_path: Path) -> None:
    encoder, model = tuned
    (tmp_path / "encoder" / "model.safetensors").unlink()
    torch.save(encoder.state_dict(), tmp_path / "encoder" / "pytorch_model.bin")
    with pytest.raises(InvalidModelError, match="not on this disk in the safetensors format"):
        fit(model, "pretrained")
