"""The core on disk: exact, portable, without network and without pickle."""

import json
import logging
import os
import pickle
import socket

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from multibert_spacy.core.checkpoints import strip_pooler
from multibert_spacy.core.encoder import Core
from multibert_spacy.core.saved_core import (
    load_core,
    quiet_transformers,
    save_core,
)
from multibert_spacy.errors import CoreError
from multibert_spacy.serialization.manifest import file_hashes
from tests.tiny import hidden_states, make_batch
from tests.tiny import load_core as tiny_core


@pytest.fixture
def core(core_folder):
    return tiny_core(core_folder)


@pytest.fixture
def saved(bert_folder, tmp_path):
    """A sound folder."""
    core = tiny_core(bert_folder)
    save_core(core, tmp_path / "core", core.fingerprint())
    load_core(tmp_path / "core")
    return tmp_path / "core"


def again(folder):
    objects, fingerprint = load_core(folder)
    return Core(objects.transformer, objects.tokenizer, precision="fp32"), fingerprint


def dtypes(folder):
    return {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()}


class TestRoundTrip:
    @pytest.mark.parametrize("halves", [False, True])
    def test_every_tensor_is_bitwise_equal(self, core, tmp_path, halves):
        if halves:
            core.model.half().float()
        fingerprint = core.fingerprint()
        save_core(core, tmp_path / "core", fingerprint)
        other, name = again(tmp_path / "core")
        own, theirs = core.model.state_dict(), other.model.state_dict()
        assert own.keys() == theirs.keys()
        assert all(torch.equal(own[key], theirs[key]) for key in own)
        assert {value.dtype for value in theirs.values()} == {torch.float32}
        assert name == fingerprint == other.fingerprint()
        assert dtypes(tmp_path / "core") == {torch.float16 if halves else torch.float32}

    def test_one_weight_that_fp16_cannot_hold_is_enough_for_fp32(self, core, tmp_path):
        core.model.half().float()
        core.model.encoder.layer[0].output.dense.bias.data[0] = 1 + 2**-20
        save_core(core, tmp_path / "core", "")
        assert dtypes(tmp_path / "core") == {torch.float32}
        assert again(tmp_path / "core")[0].fingerprint() == core.fingerprint()

    def test_hidden_states_and_pieces_are_the_same(self, core, tmp_path):
        save_core(core, tmp_path / "core", "")
        other, _ = again(tmp_path / "core")
        words = ["سلام", "می\u200cرود", "x", "#خبر", ""]
        assert core.pieces(words) == other.pieces(words)
        assert (core.bos, core.eos, core.pad) == (other.bos, other.eos, other.pad)
        assert (core.max_pieces, core.first_position) == (other.max_pieces, other.first_position)
        batch = make_batch(core)
        assert torch.equal(hidden_states(core, batch), hidden_states(other, batch))

    def test_saving_what_was_loaded_gives_the_same_files(self, core, tmp_path):
        save_core(core, tmp_path / "one", "f")
        save_core(again(tmp_path / "one")[0], tmp_path / "two", "f")
        save_core(again(tmp_path / "two")[0], tmp_path / "three", "f")
        assert file_hashes(tmp_path / "two") == file_hashes(tmp_path / "three")
        model = "model.safetensors"
        assert file_hashes(tmp_path / "one")[model] == file_hashes(tmp_path / "two")[model]

    def test_a_bf16_core_is_saved_from_its_exact_weights(self, bert_folder, tmp_path):
        core = tiny_core(bert_folder, precision="bf16")
        hidden_states(core, make_batch(core))
        save_core(core, tmp_path / "core", "")
        assert again(tmp_path / "core")[0].fingerprint() == core.fingerprint()

    def test_it_is_a_hugging_face_folder(self, core, tmp_path):
        save_core(core, tmp_path / "core", "")
        model = AutoModel.from_pretrained(tmp_path / "core", add_pooling_layer=False)
        assert type(model) is type(core.model)

    def test_the_manifest_names_every_file(self, saved):
        manifest = json.loads((saved / "multibert.json").read_text(encoding="utf8"))
        assert manifest["format"] == 1
        assert manifest["files"] == file_hashes(saved)
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= manifest["files"].keys()

    def test_no_file_holds_a_path(self, core, core_folder, tmp_path):
        save_core(core, tmp_path / "core", "")
        save_core(again(tmp_path / "core")[0], tmp_path / "again", "")
        roots = [os.fsencode(path) for path in (tmp_path, core_folder)]
        for folder in (tmp_path / "core", tmp_path / "again"):
            for file in folder.iterdir():
                data = file.read_bytes()
                assert not any(root in data for root in roots), file.name
                assert b"/tmp" not in data and b"/home" not in data, file.name

    def test_an_old_folder_is_replaced_and_no_draft_left(self, saved, core, tmp_path):
        (saved / "left_over.txt").write_text("old", encoding="utf8")
        save_core(core, saved, core.fingerprint())
        assert not (saved / "left_over.txt").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["core"]
        assert again(saved)[1] == core.fingerprint()

    def test_a_pooler_is_not_part_of_it(self, bert_folder, tmp_path):
        model = AutoModel.from_pretrained(bert_folder, add_pooling_layer=True)
        core = tiny_core(bert_folder)
        core.model = model
        save_core(core, tmp_path / "core", "")
        assert getattr(again(tmp_path / "core")[0].model, "pooler", None) is None


class TestSafety:
    def test_no_network(self, saved, monkeypatch):
        def refuse(*args, **kwargs):
            raise AssertionError("network")

        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        assert again(saved)[0].width == 32

    def test_nothing_is_unpickled(self, saved, monkeypatch):
        def refuse(*args, **kwargs):
            raise AssertionError("pickle")

        monkeypatch.setattr(torch, "load", refuse)
        for name in ("load", "loads", "Unpickler"):
            monkeypatch.setattr(pickle, name, refuse)
        assert again(saved)[0].width == 32

    def test_a_pickle_in_the_folder_is_not_touched(self, saved):
        (saved / "pytorch_model.bin").write_bytes(b"not a pickle")
        assert again(saved)[0].width == 32

    def test_weights_as_a_pickle_are_not_taken(self, saved):
        torch.save({}, saved / "pytorch_model.bin")
        (saved / "model.safetensors").unlink()
        with pytest.raises(CoreError, match="model.safetensors is missing"):
            load_core(saved)


def edit(folder, remove=(), **changes):
    path = folder / "multibert.json"
    manifest = json.loads(path.read_text(encoding="utf8")) | changes
    manifest = {key: value for key, value in manifest.items() if key not in remove}
    path.write_text(json.dumps(manifest), encoding="utf8")


class TestDamage:
    def test_no_folder(self, tmp_path):
        with pytest.raises(CoreError, match="nothing/multibert.json cannot be read"):
            load_core(tmp_path / "nothing")

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}"])
    def test_a_manifest_that_is_none(self, saved, text):
        (saved / "multibert.json").write_text(text, encoding="utf8")
        with pytest.raises(CoreError, match="multibert.json is damaged"):
            load_core(saved)

    @pytest.mark.parametrize("key", ["format", "core", "files"])
    def test_a_manifest_without(self, saved, key):
        edit(saved, remove=[key])
        with pytest.raises(CoreError, match=f"multibert.json is damaged.*{key}"):
            load_core(saved)

    @pytest.mark.parametrize("files", [[], None, "config.json"])
    def test_files_that_are_no_table(self, saved, files):
        edit(saved, files=files)
        with pytest.raises(CoreError, match="multibert.json is damaged"):
            load_core(saved)

    def test_a_newer_format(self, saved):
        edit(saved, format=2)
        with pytest.raises(CoreError, match="of format 2; this version reads 1"):
            load_core(saved)

    @pytest.mark.parametrize(
        "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    )
    def test_a_file_is_missing(self, saved, name):
        (saved / name).unlink()
        with pytest.raises(CoreError, match=f"core/{name} is missing"):
            load_core(saved)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
    def test_a_byte_is_flipped(self, saved, name):
        data = bytearray((saved / name).read_bytes())
        data[-2] ^= 1
        (saved / name).write_bytes(data)
        with pytest.raises(CoreError, match=f"core/{name} is damaged: its SHA-256"):
            load_core(saved)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer_config.json"])
    def test_a_file_that_the_manifest_does_not_name(self, saved, name):
        files = file_hashes(saved)
        del files[name]
        edit(saved, files=files)
        with pytest.raises(CoreError, match=f"does not name {name}"):
            load_core(saved)

    @pytest.mark.parametrize(
        "name, data",
        [
            ("config.json", b"{}"),
            ("config.json", b'{"model_type": "no_such_type"}'),
            ("config.json", b"\xff"),
            ("model.safetensors", b"garbage"),
            ("tokenizer.json", b"{}"),
        ],
    )
    def test_a_file_that_was_never_right(self, saved, name, data):
        (saved / name).write_bytes(data)
        edit(saved, files=file_hashes(saved))
        with pytest.raises(CoreError, match=f"The core in {saved} cannot be read"):
            load_core(saved)


class TestHelpers:
    def test_strip_pooler(self, bert_folder):
        model = AutoModel.from_pretrained(bert_folder, add_pooling_layer=True)
        assert model.pooler is not None
        strip_pooler(model)
        strip_pooler(model)
        assert model.pooler is None
        assert not any(name.startswith("pooler") for name in model.state_dict())

    def test_quiet_transformers_gives_the_verbosity_back(self):
        before = transformers_logging.get_verbosity()
        with pytest.raises(RuntimeError, match="inside"), quiet_transformers():
            assert transformers_logging.get_verbosity() == logging.ERROR
            raise RuntimeError("inside")
        assert transformers_logging.get_verbosity() == before

    def test_loading_is_quiet(self, saved, caplog, capfd):
        load_core(saved)
        assert caplog.records == []
        assert capfd.readouterr().err == ""
