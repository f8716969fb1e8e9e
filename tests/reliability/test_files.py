"""Files that are damaged, mixed up or made by a stranger: a clear error, never other entities."""

import json
import logging
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import spacy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from multibert_spacy.adapters import peft_format
from multibert_spacy.adapters.kinds import LoraSettings, PrefixSettings
from multibert_spacy.adapters.storage import read_folder, write_folder
from multibert_spacy.core.saved_core import load_core
from multibert_spacy.errors import AdapterError, ConfigError, CoreError, MultibertError
from multibert_spacy.serialization.manifest import file_hashes, read_json, seal, write_json
from multibert_spacy.text.tokenizer import build_persian_tokenizer_v1
from scripts.checks.faults import damages, run_faults
from tests.tiny import load_core as tiny_core
from tests.tiny import make_adapter

CORE = "c0ffee" * 10
FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    bit %= 8 * len(data)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(data))


@contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    data = path.read_bytes()
    flip(path, bit)
    try:
        yield
    finally:
        path.write_bytes(data)


@pytest.fixture
def copy(trained_folder: Path, tmp_path: Path) -> Path:
    """A saved pipeline to be damaged."""
    shutil.copytree(trained_folder, tmp_path / "copy")
    return tmp_path / "copy"


# What no other hash guards: manifests, settings, the tokenizer


@pytest.fixture
def core(bert_folder: Path):
    return tiny_core(bert_folder)


def adapter_folder(core, path: Path, kind: str = "lora") -> Path:
    """A sound folder of an adapter with the head of two labels."""
    adapter_settings = {
        "lora": LoraSettings(rank=4, alpha=8),
        "prefix": PrefixSettings(n_virtual=5, init="noise"),
    }[kind]
    head = {"weight": torch.randn(5, 32), "bias": torch.randn(5)}
    meta = {"domain": "news", "head": "formal", "labels": ["PER", "LOC"]}
    write_folder(path, make_adapter(core, adapter_settings), head, meta, CORE)
    return path


@pytest.fixture
def folder(core, tmp_path: Path) -> Path:
    return adapter_folder(core, tmp_path / "news")


@FEW
@given(bit=st.integers(0, 10**6))
def test_any_flipped_bit_of_a_manifest(core, folder, bit):
    """JSON has as many ways to say the same as `\\u006e` for `n`: those read as before."""
    with flipped(folder / "multibert.json", bit):
        try:
            manifest = read_folder(folder, core, CORE)[2]
        except AdapterError as e:
            assert "multibert.json" in str(e)
        else:
            assert manifest == read_json(folder / "multibert.json", AdapterError)
            assert manifest["labels"] == ["PER", "LOC"]
            assert manifest["head"] == "formal"


def test_a_label_that_was_changed(core, folder):
    path = folder / "multibert.json"
    path.write_text(path.read_text(encoding="utf8").replace("LOC", "LNC"), encoding="utf8")
    with pytest.raises(AdapterError, match="multibert.json is damaged.*seal"):
        read_folder(folder, core, CORE)


def test_what_would_not_be_read_is_not_written(tmp_path):
    path = tmp_path / "multibert.json"
    write_json(path, {"text": "x" * (2**22 - 200)})
    assert len(read_json(path, AdapterError)["text"]) == 2**22 - 200
    with pytest.raises(ConfigError, match="multibert.json of .* is not written"):
        write_json(tmp_path / "multibert.json", {"text": "x" * 2**22})
    assert len(read_json(path, AdapterError)["text"]) == 2**22 - 200


def test_a_manifest_without_a_seal_is_read(core, folder):
    """Written by hand, or by another program."""
    path = folder / "multibert.json"
    manifest = read_json(path, AdapterError)
    del manifest["seal"]
    path.write_text(json.dumps(manifest), encoding="utf8")
    assert read_folder(folder, core, CORE)[2]["labels"] == ["PER", "LOC"]


def test_the_core_s_manifest(copy):
    path = copy / "transformer" / "model" / "multibert.json"
    sound = path.read_text(encoding="utf8")
    rng = random.Random(0)
    for _ in range(10):
        flip(path, rng.randrange(10**6))
        with pytest.raises(CoreError, match="multibert.json"):
            load_core(path.parent)
        path.write_text(sound, encoding="utf8")
    load_core(path.parent)


def test_the_tokenizer_s_file(tmp_path):
    nlp = spacy.blank("fa")
    tokenizer = build_persian_tokenizer_v1()(nlp)
    path = tmp_path / "tokenizer"
    tokenizer.to_disk(path)
    tokenizer.from_disk(path)
    sound = path.read_bytes()
    rng = random.Random(0)
    damaged = [content for _, content in damages(path, tmp_path, rng, cuts=20)]
    assert len(damaged) == 62
    for content in damaged:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(MultibertError, match="tokenizer is missing or damaged"):
            tokenizer.from_disk(path)
    path.write_bytes(sound)
    again = build_persian_tokenizer_v1()(nlp).from_disk(path)
    assert [word.text for word in again("سلام، https://t.co/x می‌رود!")] == [
        *("سلام", "،", "https://t.co/x", "می‌رود", "!")
    ]


def test_a_tokenizer_s_file_without_a_hash(tmp_path):
    """What spaCy's own tokenizer writes, in its settings."""
    tokenizer = build_persian_tokenizer_v1()(spacy.blank("fa"))
    (tmp_path / "tokenizer").write_bytes(tokenizer.to_bytes())
    assert len(tokenizer.from_disk(tmp_path / "tokenizer")("سلام، خوبی؟")) == 4


@pytest.mark.parametrize("name", ["multibert_ner/cfg", "domain_detector/cfg"])
def test_settings_of_a_component(copy, name):
    for bit in (19, 77, 145):
        with flipped(copy / name, bit):
            with pytest.raises(MultibertError, match=name):
                spacy.load(copy)


def test_weights_of_a_stock_detector(toy_core, tmp_path):
    nlp = spacy.blank("fa")
    bow = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 1}
    bow |= {"length": 64, "no_output_layer": False}
    detector = nlp.add_pipe("domain_detector", config={"model": bow})
    detector.add_label("news")
    detector.add_label("travel")
    nlp.initialize()
    nlp.to_disk(tmp_path / "bow")
    spacy.load(tmp_path / "bow")
    flip(tmp_path / "bow" / "domain_detector" / "model", 8 * 400)
    with pytest.raises(AdapterError, match="domain_detector/model is damaged"):
        spacy.load(tmp_path / "bow")


def test_a_config_that_was_changed_is_said(copy, caplog):
    """It may be edited by hand, so it is no error."""
    path = copy / "config.cfg"
    path.write_text(path.read_text(encoding="utf8").replace("window = 512", "window = 312"))
    with caplog.at_level(logging.WARNING):
        assert spacy.load(copy).get_pipe("multibert_ner").window == 312
    assert "config.cfg was changed" in caplog.text


def test_a_config_that_was_not_changed(copy, caplog):
    with caplog.at_level(logging.WARNING):
        spacy.load(copy, config={"components": {"multibert_ner": {"window": 312}}}).to_disk(copy)
        spacy.load(copy)
        spacy.load(copy).to_disk(copy.parent / "again")
        spacy.load(copy.parent / "again")
    assert "was changed" not in caplog.text


# Mixed up


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "head.safetensors"])
def test_files_of_another_domain(copy, name):
    domains = copy / "multibert_ner" / "domains"
    shutil.copy(domains / "news" / name, domains / "sports" / name)
    with pytest.raises(AdapterError, match=f"sports/{name}"):
        spacy.load(copy)


def test_a_file_that_does_not_belong_to_the_core(copy):
    """transformers would follow it to another model."""
    path = copy / "transformer" / "model" / "adapter_config.json"
    path.write_text('{"base_model_name_or_path": "/elsewhere"}', encoding="utf8")
    with pytest.raises(CoreError, match="adapter_config.json does not belong"):
        spacy.load(copy)
    manifest = read_json(path.parent / "multibert.json", CoreError)
    write_json(path.parent / "multibert.json", manifest | {"files": file_hashes(path.parent)})
    with pytest.raises(CoreError, match="adapter_config.json does not belong"):
        spacy.load(copy)


def test_a_tokenizer_s_settings_cannot_lead_elsewhere(copy, tmp_path):
    model = copy / "transformer" / "model"
    shutil.copy(model / "tokenizer.json", tmp_path / "tokenizer.json")
    path = model / "tokenizer_config.json"
    leading = {"tokenizer_file": str(tmp_path / "tokenizer.json")}
    path.write_text(json.dumps(json.loads(path.read_text()) | leading), encoding="utf8")
    manifest = read_json(model / "multibert.json", CoreError)
    write_json(model / "multibert.json", manifest | {"files": file_hashes(model)})
    with pytest.raises(CoreError, match="tokenizer_config.json leads to tokenizer_file"):
        spacy.load(copy)


# Folders of strangers: they can seal what they like


def forge(folder: Path, **changes: object) -> None:
    """Make hashes and seal right again after a change."""
    path = folder / "multibert.json"
    manifest = json.loads(path.read_text(encoding="utf8"))
    manifest |= {"files": file_hashes(folder), **changes}
    path.write_text(json.dumps(seal(manifest)), encoding="utf8")


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf8")) | changes
    path.write_text(json.dumps(config), encoding="utf8")
    forge(folder)


@pytest.mark.parametrize(
    "kind, changes, message",
    [
        ("lora", {"r": 10**12}, "expected"),
        ("lora", {"r": 2.5}, "cannot be read"),
        ("lora", {"r": "16"}, "cannot be read"),
        ("lora", {"lora_alpha": float("nan")}, "alpha > 0"),
        ("lora", {"lora_alpha": float("inf")}, "alpha > 0"),
        ("prefix", {"num_virtual_tokens": 10**12}, "expected"),
        ("prefix", {"num_virtual_tokens": 1.5}, "cannot be read"),
        ("lora", {"target_modules": "((.|..)+)+[!?]"}, "pattern that takes more"),
        ("lora", {"target_modules": "("}, "cannot be read"),
        (
            "lora",
            {
                "target_modules": ["query"],
                "layers_to_transform": [0],
                "layers_pattern": ["((.|..)+)+[a-z]"],
            },
            "pattern that takes more",
        ),
        (
            "lora",
            {
                "target_modules": ["query"],
                "layers_to_transform": [0],
                "layers_pattern": ["x"] * 101,
            },
            "101 patterns",
        ),
        ("lora", {"comment": "x" * 2**22}, "at most"),
    ],
)
def test_a_config_that_asks_for_too_much(core, tmp_path, monkeypatch, kind, changes, message):
    """Refused before anything of that size is made."""
    monkeypatch.setattr(peft_format, "PATTERN_SECONDS", 0.2)
    folder = adapter_folder(core, tmp_path / "news", kind)
    edit_config(folder, **changes)
    with pytest.raises(AdapterError, match=message):
        read_folder(folder, core, CORE)


@pytest.mark.parametrize("name", ["multibert.json", "adapter_config.json"])
def test_json_without_bottom(core, folder, name):
    (folder / name).write_text("[" * 100_000, encoding="utf8")
    if name != "multibert.json":
        forge(folder)
    with pytest.raises(AdapterError, match=name):
        read_folder(folder, core, CORE)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "head.safetensors"])
def test_a_file_of_a_terabyte(core, folder, name):
    """A hole, which takes no place on the disk: refused before it is read."""
    os.truncate(folder / name, 2**40)
    with pytest.raises(AdapterError, match=f"{name} has {2**40} bytes"):
        read_folder(folder, core, CORE)


def test_a_device_in_place_of_a_file(core, folder):
    (folder / "head.safetensors").unlink()
    (folder / "head.safetensors").symlink_to("/dev/zero")
    with pytest.raises(AdapterError, match="head.safetensors is missing"):
        read_folder(folder, core, CORE)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\ud800", "..", "a/../head.safetensors"])
def test_names_that_no_file_can_have(core, folder, name):
    manifest = json.loads((folder / "multibert.json").read_text(encoding="utf8"))
    forge(folder, files=manifest["files"] | {name: "0"})
    with pytest.raises(AdapterError, match="is missing|cannot be read"):
        read_folder(folder, core, CORE)


@pytest.mark.parametrize("labels", [["PER", "PER"], ["PER", ""], ["PER", " "]])
def test_labels_that_are_none(core, folder, labels):
    forge(folder, labels=labels)
    with pytest.raises(AdapterError, match="multibert.json is damaged.*label"):
        read_folder(folder, core, CORE)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "head.safetensors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(make_nlp, tmp_path, name, value):
    tagger = make_nlp(detector=False).get_pipe("multibert_ner")
    folder = tmp_path / "sports"
    tagger.model.write_domain("sports", folder)
    tensors = load_file(folder / name)
    next(iter(tensors.values())).view(-1)[3] = value
    save_file(tensors, folder / name)
    forge(folder)
    with pytest.raises(AdapterError, match=f"{name} is damaged.*not finite"):
        tagger.model.read_domain(folder)
    assert sorted(tagger.domains) == ["news", "sports", "travel"]


def test_more_labels_than_the_head_has(make_nlp, tmp_path):
    tagger = make_nlp(detector=False).get_pipe("multibert_ner")
    folder = tmp_path / "sports"
    tagger.model.write_domain("sports", folder)
    forge(folder, labels=[str(i) for i in range(10_000)])
    with pytest.raises(AdapterError, match=r"shape \(5, 32\), expected \(20001, 32\)"):
        tagger.model.read_domain(folder)


# Everything at once, on a trained pipeline


@pytest.mark.slow
def test_every_file_of_a_pipeline(trained_folder: Path, tmp_path: Path):
    """The tool that `metrics/persian/faults.json` comes from. spaCy's own files need not be named
    in the error, but there must be one.
    """
    shutil.copytree(trained_folder, tmp_path / "fa_toy")
    texts = ["سفر ایران هتل سپاهان دریا تبریز", "گل تبریز برد ایران سپاهان"]
    faults = run_faults(tmp_path / "fa_toy", texts, cuts=2)
    assert len(faults) > 200
    assert [fault for fault in faults if fault.outcome == "silent"] == []
    spacy_s = ("config.cfg", "meta.json", "vocab/")
    nameless = [fault for fault in faults if fault.outcome == "nameless"]
    assert [fault for fault in nameless if not fault.file.startswith(spacy_s)] == []
