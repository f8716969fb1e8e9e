"""The core on disk: a Hugging Face folder with safetensors, and a manifest with hashes.

Weights are stored in fp16 where that loses nothing (a core that came in fp16, as the embedded one
does), so that saving and loading is exact and costs half.
"""

import contextlib
import inspect
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from spacy.util import get_package_path, is_package
from spacy_transformers.data_classes import HFObjects
from thinc.api import get_torch_default_device
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging as transformers_logging

from ..errors import CoreError
from ..serialization.drafts import draft_in, has_draft
from ..serialization.manifest import (
    FORMAT,
    MANIFEST,
    check_seal,
    file_hash,
    file_hashes,
    read_json,
    verify_files,
    write_json,
)
from ..serialization.saves import SavedPart, check_part
from .checkpoints import read_model
from .dtypes import check_finite_tensors, save_tensors
from .encoder import Core

__all__ = [
    "drop_inputs",
    "find_core",
    "load_core",
    "quiet_transformers",
    "save_core",
]

logger = logging.getLogger(__name__)

READ_BY_TRANSFORMERS = (".json", ".safetensors", ".txt", ".model", ".jinja", ".py")
LARGEST_CORE = 2**36
"""Bytes of a file of a core: those of 17 billion parameters in fp32."""
LARGEST_SETTINGS = 2**24
"""Bytes of a tokenizer's settings: they name each added piece."""


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the warning that a pooler was not initialised: it is not used. What else is not
    initialised is an error, see `checkpoints.py`.
    """
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)


def drop_inputs(model: Any, tokenizer: Any) -> None:
    """Have a tokenizer leave out what the model does not take, as token types: many a DistilBERT
    came with BERT's tokenizer, and spacy-transformers hands on all that there is.
    """
    taken = inspect.signature(model.forward).parameters
    tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name in taken]


def save_core(
    core: Core,
    folder: Path,
    fingerprint: str,
    config: Path | None = None,
    *,
    whole: bool = False,
) -> None:
    """Write a core.

    core (Core): The core.
    folder (Path): Replaced if it exists. Written beside and swapped in.
    fingerprint (str): The core's.
    config (Path): The pipeline's `config.cfg`, whose hash is noted: see `load_core`.
    whole (bool): Whether the pipeline is saved with it; see `SavedPart`.
    RAISES (ConfigError): If a weight is not a finite number.
    """
    part = SavedPart(folder.parent, whole=whole)
    with draft_in(folder.parent) as root:
        tensors = core.model.state_dict()
        check_finite_tensors(folder.name, tensors, halves=False)
        draft = root / folder.name
        draft.mkdir()
        save_tensors(tensors, draft / "model.safetensors")
        own = {k: v for k, v in core.model.config.to_diff_dict().items() if k != "_name_or_path"}
        own["model_type"] = core.model.config.model_type
        (draft / "config.json").write_text(json.dumps(own, indent=2) + "\n", encoding="utf8")
        core.tokenizer.save_pretrained(str(draft))
        _drop_paths(draft / "tokenizer_config.json")
        manifest = {"format": FORMAT, "core": fingerprint, "files": file_hashes(draft)}
        if config is not None and config.is_file():
            manifest["config"] = file_hash(config)
        write_json(draft / MANIFEST, manifest | part.ids(manifest))
        part.put(root, [folder.name])


def _drop_paths(path: Path) -> None:
    """Drop where a tokenizer was loaded from, which transformers notes and nobody should see."""
    config = json.loads(path.read_text(encoding="utf8"))
    config.pop("name_or_path", None)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf8")


def load_core(
    folder: Path, config: Path | None = None, *, whole: bool = False
) -> tuple[HFObjects, str]:
    """Read what `save_core` wrote. Uses no network and unpickles nothing.

    folder (Path): The folder.
    config (Path): The pipeline's `config.cfg`. It may be edited by hand, so that another hash than
        the noted one is no error; but a flipped bit may look like an edit, so it is logged. Beside
        the draft of a save it is an error: of a save that was killed, or is at work.
    whole (bool): Whether the pipeline is loaded with it; see `check_part`.
    RETURNS (tuple): Tokenizer and model as spacy-transformers wants them, and the fingerprint.
    RAISES (CoreError): If a file is missing, damaged, or of a newer format.
    """
    path = folder / MANIFEST
    manifest = read_json(path, CoreError)
    try:
        version, fingerprint, files = (manifest[k] for k in ("format", "core", "files"))
    except KeyError as e:
        raise CoreError(f"{path} is damaged: {e!r}") from e
    if version != FORMAT:
        raise CoreError(f"{path} is of format {version}; this version reads {FORMAT}")
    if not isinstance(files, dict) or not isinstance(fingerprint, str):
        raise CoreError(f"{path} is damaged: it must name its core, and files with their hashes")
    verify_files(folder, files, CoreError, largest=LARGEST_CORE)
    missing = {"config.json", "model.safetensors", "tokenizer_config.json"} - set(files)
    if missing:
        raise CoreError(f"{path} does not name {', '.join(sorted(missing))}")
    _check_names(folder, files)
    if config is not None and "config" in manifest and file_hash(config) != manifest["config"]:
        if has_draft(folder.parent):
            raise CoreError(
                f"{config} is of another save than {folder}: one was killed, or is at work. Save "
                "the pipeline again (nlp.to_disk), or use another copy of it"
            )
        logger.warning(
            "%s was changed after the pipeline was saved. If that was not you, it is damaged; "
            "nlp.to_disk writes it anew.",
            config,
        )
    try:
        with quiet_transformers():
            options = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
            own = AutoConfig.from_pretrained(str(folder), return_dict=True, **options)
            model = read_model(
                str(folder),
                config=own,
                use_safetensors=True,
                torch_dtype=torch.float32,
                **options,
            )
    except CoreError:
        raise
    except Exception as e:  # tokenizers raises no other type
        raise CoreError(f"The core in {folder} cannot be read: {e}") from e
    check_seal(manifest, path, CoreError)
    check_part(folder.parent, manifest, CoreError, whole=whole)
    if read_json(path, CoreError) != manifest:
        raise CoreError(f"{folder} was saved anew while it was read: load it again")
    model.to(get_torch_default_device())
    return HFObjects(tokenizer, model, None), fingerprint


def _check_names(folder: Path, files: Mapping[str, str]) -> None:
    """Check the names of files: transformers reads every file that has one of its names, and
    follows some names in them. An `adapter_config.json` sends it to another model, a `…_file` of
    the tokenizer's settings to another place.
    """
    for path in sorted(folder.iterdir()):
        known = path.name in files and path.name != "adapter_config.json"
        if path.suffix in READ_BY_TRANSFORMERS and path.name != MANIFEST and not known:
            raise CoreError(f"{path} does not belong to the core that {MANIFEST} names")
    settings = read_json(folder / "tokenizer_config.json", CoreError, largest=LARGEST_SETTINGS)
    for key, value in settings.items():
        if key.endswith("_file") and value is not None:
            raise CoreError(f"{folder / 'tokenizer_config.json'} leads to {key} = {value!r}")


def find_core(name: str) -> str:
    """The core of a pipeline, by the pipeline's name: so that a config can name the core of an
    installed pipeline, wherever it is installed.

    name (str): An installed pipeline package, or a pipeline's folder.
    RETURNS (str): The folder of its core; the same name if it is none of the two.
    """
    inside = f"*/model/{MANIFEST}"
    if is_package(name):
        found = sorted(get_package_path(name).glob(f"{name}-*/{inside}"))
    elif (Path(name) / "config.cfg").is_file():
        found = sorted(Path(name).glob(inside))
    else:
        found = []
    return str(found[0].parent) if found else name
