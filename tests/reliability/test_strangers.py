"""Folders of strangers: no path leads out of them, no file in them hangs or takes all memory, and
one that is refused costs that domain alone.
"""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest
import spacy
import srsly
from conftest import NAMES, entities, toy_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multibert_spacy.adapters.peft_format import read_adapter
from multibert_spacy.adapters.target_modules import PatternError, Patterns
from multibert_spacy.errors import AdapterError, ConfigError, MultibertError
from multibert_spacy.serialization.archive import folder_from_bytes
from multibert_spacy.serialization.files import hash_regular, inside, read_regular
from multibert_spacy.serialization.manifest import file_hashes, seal
from tests.tiny import load_core

FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
PATHS = [
    "../../../victim",
    "../../transformer/model",
    "",
    ".x",
    "a/b",
    "../../esc",
    "a b",
    "..",
    "/",
]


def forge(folder: Path, **changes: object) -> None:
    """Make hashes and seal right again after a change: strangers can seal what they like."""
    path = folder / "multibert.json"
    manifest = json.loads(path.read_text(encoding="utf8"))
    manifest |= {"files": file_hashes(folder), **changes}
    path.write_text(json.dumps(seal(manifest)), encoding="utf8")


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def shared_folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A domain's folder; to be copied."""
    folder = tmp_path_factory.mktemp("shared") / "sports"
    shutil.copytree(trained_folder / "multibert_ner" / "domains" / "sports", folder)
    return folder


@pytest.fixture
def stranger(shared_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(shared_folder, tmp_path / "stranger")
    return tmp_path / "stranger"


@pytest.fixture(scope="module")
def module_nlp(trained_folder: Path):
    """For tests that leave it as it is."""
    return spacy.load(trained_folder)


# Names (point 20)


@pytest.mark.parametrize("name", PATHS)
def test_a_manifest_s_name_leaves_no_folder(trained, stranger, tmp_path, name):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "letter").write_text("mine", encoding="utf8")
    tagger = trained.get_pipe("multibert_ner")
    forge(stranger, domain=name)
    with pytest.raises(AdapterError, match="must name a domain and a head"):
        tagger.model.read_domain(stranger)
    assert sorted(tagger.domains) == sorted(NAMES)
    (tmp_path / "a").mkdir()
    trained.to_disk(tmp_path / "a" / "fa")
    assert (tmp_path / "victim" / "letter").read_text(encoding="utf8") == "mine"
    spacy.load(tmp_path / "a" / "fa")
    assert tagger.model.read_domain(stranger, "law") == "law"


@FEW
@given(name=st.one_of(st.sampled_from(PATHS), st.text("a./\\ \0خ:-", max_size=6)))
def test_a_domain_that_is_made_is_saved_and_loaded(make_nlp_once, tmp_path_factory, name):
    """However it is made: refused at once, or there again after a round trip."""
    nlp, source = make_nlp_once
    tagger = nlp.get_pipe("multibert_ner")
    root = tmp_path_factory.mktemp("made")
    makers = [
        lambda: tagger.model.add_domain(name, head="social", copy_from="sports"),
        lambda: tagger.model.read_domain(source, name),
        lambda: tagger.model.module.add_domain(
            name, "social", tagger.model.module.adapter_of("sports")
        ),
    ]
    for make in makers:
        before = tagger.domains
        try:
            make()
        except MultibertError:
            assert tagger.domains == before
            continue
        tagger.to_disk(root / "fa" / "ner")
        assert sorted(path.name for path in root.iterdir()) == ["fa"]
        assert sorted(os.listdir(root / "fa" / "ner" / "domains")) == sorted(tagger.domains)
        tagger.from_disk(root / "fa" / "ner")
        assert name in tagger.domains
        if name not in before:
            tagger.model.module.remove_domain(name)


@pytest.fixture
def make_nlp_once(make_nlp, tmp_path):
    nlp = make_nlp(detector=False)
    nlp.get_pipe("multibert_ner").model.write_domain("sports", tmp_path / "source")
    return nlp, tmp_path / "source"


@pytest.mark.parametrize("name", [name for name in PATHS if name])
def test_start_domain_checks_names(trained, name):
    with pytest.raises(ConfigError, match="Illegal domain name"):
        trained.get_pipe("multibert_ner").start_domain(name, copy_from="news", freeze_head=True)
    assert sorted(trained.get_pipe("multibert_ner").domains) == sorted(NAMES)


@pytest.mark.parametrize("head", ["", "\0", "x" * 5000, " formal", "a\ud800"])
def test_heads_of_strangers(module_nlp, stranger, head):
    forge(stranger, head=head)
    with pytest.raises(AdapterError, match="must name a domain and a head"):
        module_nlp.get_pipe("multibert_ner").model.read_domain(stranger, "law")


@given(st.one_of(st.sampled_from([*PATHS, "C:x", None, 3]), st.text("a./\\\0:", max_size=5)))
def test_inside_is_inside(name):
    folder = Path("/tmp/some/folder")
    try:
        path = inside(folder, name)
    except MultibertError:
        return
    assert path.parent == folder and os.path.normpath(path) == str(path) and path != folder


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "a/../b", "a//b", "/a", "a/", "\\a", "a/b"])
def test_names_in_bytes(tmp_path, name):
    """A file cannot be a folder, too, and no name is longer than a file system takes."""
    data = srsly.msgpack_dumps({"a": b"1", name: b"2"})
    with pytest.raises(MultibertError, match="illegal file"):
        folder_from_bytes(data, lambda folder: None)


# What is written over and removed


def test_a_symlinked_domain_is_saved_over(trained, trained_folder, tmp_path):
    """The link goes, what it leads to stays."""
    shutil.copytree(trained_folder, tmp_path / "fa")
    domains = tmp_path / "fa" / "multibert_ner" / "domains"
    for name in ("news", "gone"):
        shutil.copytree(domains / "sports", tmp_path / f"far_{name}")
    shutil.rmtree(domains / "news")
    (domains / "news").symlink_to(tmp_path / "far_news")
    (domains / "gone").symlink_to(tmp_path / "far_gone")
    far = {name: tree(tmp_path / f"far_{name}") for name in ("news", "gone")}
    spacy.load(tmp_path / "fa")
    trained.to_disk(tmp_path / "fa")
    assert sorted(os.listdir(domains)) == sorted(NAMES)
    assert not (domains / "news").is_symlink()
    assert far == {name: tree(tmp_path / f"far_{name}") for name in ("news", "gone")}
    again = spacy.load(tmp_path / "fa")
    assert entities(again(toy_text("news"))) == entities(trained(toy_text("news")))


def test_write_domain_over_a_link_and_over_what_is_not_ours(trained, tmp_path):
    model = trained.get_pipe("multibert_ner").model
    model.write_domain("news", tmp_path / "far")
    before = tree(tmp_path / "far")
    (tmp_path / "link").symlink_to(tmp_path / "far")
    model.write_domain("sports", tmp_path / "link")
    assert not (tmp_path / "link").is_symlink() and tree(tmp_path / "far") == before
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("mine", encoding="utf8")
    with pytest.raises(AdapterError, match="no adapter's folder"):
        model.write_domain("sports", tmp_path / "home")
    assert (tmp_path / "home" / "letter").exists()


def test_what_is_not_ours_stays(trained, trained_folder, tmp_path):
    folder = tmp_path / "fa" / "multibert_ner"
    shutil.copytree(trained_folder, tmp_path / "fa")
    (folder / "graph" / "float").mkdir(parents=True)
    (folder / "graph" / "float" / "graph.json").write_text("{}")
    (folder / "domains" / "notes").mkdir()
    (folder / "domains" / "notes" / "a:b").write_text("mine")
    (folder / "domains" / "README.md").write_text("mine")
    shutil.copytree(folder / "domains" / "news", folder / "domains" / "old")
    trained.to_disk(tmp_path / "fa")
    assert (folder / "graph" / "float" / "graph.json").read_text() == "{}"
    assert sorted(os.listdir(folder / "domains")) == sorted([*NAMES, "notes", "README.md"])
    assert (folder / "domains" / "notes" / "a:b").read_text() == "mine"


# Files that are none (point 25)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have 108 bytes
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def link_to(target: str):
    return lambda path: path.symlink_to(target)


ODD = {
    "fifo": fifo,
    "socket": listening,
    "folder": Path.mkdir,
    "zero": link_to("/dev/zero"),
    "random": link_to("/dev/urandom"),
    "terminal": link_to("/dev/tty"),
    "kernel": link_to("/proc/kmsg"),
    "endless": link_to("/proc/self/mem"),
    "self": lambda path: path.symlink_to(path.name),
    "hole": lambda path: (path.touch(), os.truncate(path, 2**40)),
}


@pytest.mark.parametrize("kind", sorted(ODD))
@pytest.mark.parametrize(
    "name", ["multibert.json", "head.safetensors", "adapter_model.safetensors"]
)
def test_files_that_are_none(module_nlp, stranger, kind, name):
    tagger = module_nlp.get_pipe("multibert_ner")
    (stranger / name).unlink()
    ODD[kind](stranger / name)
    with pytest.raises(AdapterError, match=name):
        tagger.model.read_domain(stranger, "law")
    if name == "adapter_model.safetensors":
        with pytest.raises(AdapterError, match=name):
            read_adapter(stranger, tagger.model.core)
    assert sorted(tagger.domains) == sorted(NAMES)


@pytest.mark.parametrize("kind", ["fifo", "zero", "kernel", "socket"])
@pytest.mark.parametrize(
    "name",
    [
        *("multibert_ner/cfg", "domain_detector/cfg", "domain_detector/adapter/multibert.json"),
        *("transformer/model/multibert.json", "transformer/model/model.safetensors"),
        *("transformer/model/tokenizer.json", "transformer/model/config.json", "tokenizer"),
        "transformer/model/added_tokens.json",
    ],
)
def test_files_of_a_pipeline_that_are_none(trained_folder, tmp_path, kind, name):
    shutil.copytree(trained_folder, tmp_path / "fa")
    (tmp_path / "fa" / name).unlink(missing_ok=True)
    ODD[kind](tmp_path / "fa" / name)
    with pytest.raises(MultibertError, match=name):
        spacy.load(tmp_path / "fa")


def test_opening(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "link", largest=3) == b"abc"
    assert hash_regular(tmp_path / "a") == hash_regular(tmp_path / "link")
    with pytest.raises(OSError, match="more than 2 bytes"):
        read_regular(tmp_path / "a", largest=2)
    for kind, make in ODD.items():
        make(tmp_path / kind)
        with pytest.raises(OSError):
            data = read_regular(tmp_path / kind, largest=2**20)
            assert data == b"", kind  # the kernel's own say that they are empty
            raise OSError


# PEFT's settings


@pytest.mark.parametrize(
    "pattern",
    [
        *("(?:(?:x{999}){99}){99}", "(?:(?:(?:x{999}){99}){99}){99}", "x{999999}", "(x{9}){9}"),
        *(".{0,1000}", "(?:a{1,99}b){99}", "(?i:query)", "(?R)", "(?P<a>x)", "(a)\\1", "\\p{L}"),
        *("x" * 10_000, "(" * 50 + "x" + ")" * 50, "(?:x{e<=9})", "a{5}{5}", "[[:alpha:]]"),
    ],
)
@pytest.mark.parametrize("option", ["target_modules", "exclude_modules", "layers_pattern"])
def test_patterns_that_are_not_compiled(module_nlp, stranger, option, pattern):
    path = stranger / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    if option == "layers_pattern":
        config |= {"target_modules": ["query"], "layers_to_transform": [0]}
        pattern = [pattern]
    path.write_text(json.dumps(config | {option: pattern}), encoding="utf8")
    forge(stranger)
    with pytest.raises(AdapterError, match="adapter_config.json cannot be read.*pattern"):
        module_nlp.get_pipe("multibert_ner").model.read_domain(stranger, "law")


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.(query|value)",
        r".*query|.*value",
        r"encoder\.layer\.\d{1,2}\.attention\.self\.(?:query|value)$",
        r"^(?!.*output).*(query|value)",
        r"(.*\.)?attention\.self\.[qv][a-z]+",
    ],
)
def test_ordinary_patterns_are_re_s(bert_folder, pattern):
    import re

    patterns = Patterns(2.0)
    for site in load_core(bert_folder).linear_sites():
        assert patterns.matches(pattern, site) == bool(re.fullmatch(pattern, site))


def test_all_patterns_share_a_limit():
    patterns = Patterns(0.0)
    with pytest.raises(TimeoutError):
        patterns.matches("a", "a")
    with pytest.raises(PatternError):
        Patterns(1.0).matches("a(", "a")


@pytest.mark.parametrize(
    "changes",
    [
        *({"lora_alpha": value} for value in (10**400, 1e300, True, None, "8", -1, 0)),
        *({"r": value} for value in (True, False, None, 0, -4, 4.0, 10**400)),
        *({"lora_dropout": value} for value in (True, "0", 2, None)),
    ],
    ids=str,
)
def test_numbers_that_are_none(trained, stranger, changes):
    path = stranger / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    path.write_text(json.dumps(config | changes), encoding="utf8")
    forge(stranger)
    before = entities(trained(toy_text("news")))
    with pytest.raises(AdapterError):
        trained.get_pipe("multibert_ner").model.read_domain(stranger, "law")
    assert entities(trained(toy_text("news"))) == before


@pytest.mark.parametrize(
    "label",
    ["\ud800", "a\udfffb", "\0", "P\0ER", "\x1b[31m", "\n", "x" * 10_000, "", " ", "\u200b"],
)
def test_labels_of_strangers(module_nlp, stranger, label):
    manifest = json.loads((stranger / "multibert.json").read_text(encoding="utf8"))
    labels = [label, *manifest["labels"][1:]]
    forge(stranger, labels=labels)
    with pytest.raises(AdapterError, match="multibert.json is damaged.*label"):
        module_nlp.get_pipe("multibert_ner").model.read_domain(stranger, "law")


def test_a_detector_of_strangers(trained, trained_folder, tmp_path):
    shutil.copytree(trained_folder / "domain_detector", tmp_path / "detector")
    cfg = json.loads((tmp_path / "detector" / "cfg").read_text(encoding="utf8"))
    cfg["labels"] = ["\ud800", *cfg["labels"][1:]]
    (tmp_path / "detector" / "cfg").write_text(json.dumps(seal(cfg)), encoding="utf8")
    detector = trained.get_pipe("domain_detector")
    with pytest.raises(AdapterError, match="cfg is damaged.*label"):
        detector.from_disk(tmp_path / "detector")
    assert sorted(detector.labels) == sorted(NAMES)
