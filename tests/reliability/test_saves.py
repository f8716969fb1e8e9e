"""A folder is one save, or loading says that it is not; what is legal by hand stays legal."""

import json
import logging
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
import spacy
import torch
from conftest import NAMES, assert_same_predictions, toy_text

from multibert_spacy.errors import MultibertError
from multibert_spacy.serialization.drafts import draft_in, has_draft, swap
from multibert_spacy.serialization.manifest import seal
from multibert_spacy.serialization.parts import SAVED

TEXTS = [toy_text(domain, seed=3) for domain in sorted(NAMES)]
PARTS = ["tokenizer", "transformer", "domain_detector", "multibert_ner"]


def shaken(nlp, seed=1):
    """Other weights of all that is trained."""
    generator = torch.Generator().manual_seed(seed)
    for name in ("domain_detector", "multibert_ner"):
        module = nlp.get_pipe(name).model.module
        with torch.no_grad():
            for p in module.parameters():
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)
        module.weights_changed()
    return nlp


@pytest.fixture(scope="module")
def two(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two saves of two pipelines on one core, which differ in weights and in the meta."""
    root = tmp_path_factory.mktemp("two")
    one, two = spacy.load(trained_folder), shaken(spacy.load(trained_folder))
    two.meta["version"] = "2.0.0"
    one.to_disk(root / "one")
    two.to_disk(root / "two")
    return root / "one", root / "two"


def mix(two: tuple[Path, Path], folder: Path, names: list[str]) -> Path:
    """The first, with parts of the second."""
    shutil.copytree(two[0], folder)
    for name in names:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
            shutil.copytree(two[1] / name, folder / name)
        else:
            shutil.copy(two[1] / name, folder / name)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        *(["transformer"], ["domain_detector"], ["multibert_ner"]),
        *(["transformer", "domain_detector"], ["domain_detector", "multibert_ner"]),
    ],
    ids="+".join,
)
def test_a_mix_is_said(two, tmp_path, names):
    spacys = ["config.cfg", "meta.json"]
    for n, own in enumerate((names, [*names, *spacys])):
        with pytest.raises(MultibertError, match="is a mix of two saves.*nlp.to_disk"):
            spacy.load(mix(two, tmp_path / str(n), own))


def test_all_of_the_other_is_no_mix(two, tmp_path):
    folder = mix(two, tmp_path / "fa", [*PARTS, "config.cfg", "meta.json", "vocab"])
    assert_same_predictions(spacy.load(folder).pipe(TEXTS), spacy.load(two[1]).pipe(TEXTS))


def test_another_tokenizer_is_a_mix(two, tmp_path):
    nlp = spacy.load(two[0])
    nlp.tokenizer.add_special_case("سلام", [{"ORTH": "سلام"}])
    shutil.copytree(two[0], tmp_path / "fa")
    nlp.tokenizer.to_disk(tmp_path / "fa" / "tokenizer", exclude=["vocab"])
    with pytest.raises(MultibertError, match="of two saves"):  # as if the rest had not followed
        spacy.load(tmp_path / "fa")
    SAVED.begin(tmp_path)
    with pytest.raises(MultibertError, match="mix of two saves: 'transformer'.*'tokenizer'"):
        spacy.load(tmp_path / "fa")


def test_a_copy_and_a_second_save_are_equal(two, tmp_path):
    shutil.copytree(two[0], tmp_path / "copy")
    nlp = spacy.load(tmp_path / "copy")
    nlp.to_disk(tmp_path / "again")
    for path in two[0].rglob("*"):
        if path.is_file():
            other = tmp_path / "again" / path.relative_to(two[0])
            assert path.read_bytes() == other.read_bytes(), path
    assert nlp.to_bytes() == spacy.load(tmp_path / "again").to_bytes()


def test_saved_over_saved(two, tmp_path):
    """Checkpoints: many saves, by turns, to two folders."""
    pipelines = [spacy.load(folder) for folder in two]
    for i in range(2):
        for j, folder in enumerate(("model-last", "model-best")):
            pipelines[(i + j) % 2].to_disk(tmp_path / folder)
            found = spacy.load(tmp_path / folder).pipe(TEXTS)
            assert_same_predictions(found, pipelines[(i + j) % 2].pipe(TEXTS))
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("name", ["transformer", "domain_detector", "multibert_ner"])
def test_a_component_alone(two, tmp_path, name):
    """Saved into a pipeline's folder on purpose."""
    shutil.copytree(two[0], tmp_path / "fa")
    other = spacy.load(two[1])
    other.get_pipe(name).to_disk(tmp_path / "fa" / name)
    spacy.load(tmp_path / "fa")
    spacy.load(two[0]).get_pipe(name).from_disk(two[1] / name)


def test_all_but_the_core(two, tmp_path):
    """It is the largest part, and frozen."""
    shutil.copytree(two[0], tmp_path / "fa")
    nlp = spacy.load(two[1])
    nlp.to_disk(tmp_path / "fa", exclude=["transformer"])
    assert_same_predictions(spacy.load(tmp_path / "fa").pipe(TEXTS), nlp.pipe(TEXTS))


def test_part_of_a_pipeline(two, tmp_path):
    shutil.copytree(two[0], tmp_path / "fa")
    nlp = spacy.load(two[1], exclude=["domain_detector"])
    nlp.to_disk(tmp_path / "fa")
    assert spacy.load(tmp_path / "fa").pipe_names == ["transformer", "multibert_ner"]
    spacy.load(two[0], exclude=["multibert_ner"])
    spacy.load(two[0], exclude=["transformer", "domain_detector", "multibert_ner"])


def without_ids(folder: Path) -> Path:
    """As version 0.1.0 saved it."""
    paths = [*folder.glob("*/cfg"), *folder.glob("*/model/multibert.json")]
    for path in paths:
        data = json.loads(path.read_text(encoding="utf8"))
        keys = ("save", "saved_with", "seal", "domains")
        data = {key: value for key, value in data.items() if key not in keys}
        path.write_text(json.dumps(seal(data)), encoding="utf8")
    assert len(paths) == 3
    return folder


def test_a_pipeline_without_ids(two, tmp_path):
    folder = without_ids(Path(shutil.copytree(two[0], tmp_path / "fa")))
    assert_same_predictions(spacy.load(folder).pipe(TEXTS), spacy.load(two[0]).pipe(TEXTS))
    spacy.load(two[1]).get_pipe("multibert_ner").to_disk(folder / "multibert_ner")
    spacy.load(folder)
    shutil.rmtree(folder / "multibert_ner")
    shutil.copytree(two[1] / "multibert_ner", folder / "multibert_ner")
    with pytest.raises(MultibertError, match="mix of two saves"):
        spacy.load(folder)
    spacy.load(two[1]).to_disk(folder)
    spacy.load(folder)


def test_settings_written_by_hand(two, tmp_path):
    """Without a seal, so without ids: they go with any save."""
    for name in ("domain_detector", "multibert_ner"):
        path = Path(shutil.copytree(two[0], tmp_path / name)) / name / "cfg"
        data = json.loads(path.read_text(encoding="utf8"))
        own = {key: data[key] for key in ("labels", "default_domain") if key in data}
        path.write_text(json.dumps(own), encoding="utf8")
        spacy.load(tmp_path / name)


def test_domains_come_and_go_by_hand(two, tmp_path, caplog):
    shutil.copytree(two[0], tmp_path / "fa")
    domains = tmp_path / "fa" / "multibert_ner" / "domains"
    with caplog.at_level(logging.WARNING):
        spacy.load(tmp_path / "fa")
    assert "since it was saved" not in caplog.text
    shutil.copytree(domains / "sports", domains / "cup")
    shutil.rmtree(domains / "news")
    with caplog.at_level(logging.WARNING):
        nlp = spacy.load(tmp_path / "fa")
    assert sorted(nlp.get_pipe("multibert_ner").domains) == ["cup", "sports", "travel"]
    assert "missing since it was saved: news" in caplog.text
    assert "new since it was saved: cup" in caplog.text


def test_a_save_that_fails_leaves_the_old_one_or_an_error(two, tmp_path, monkeypatch):
    shutil.copytree(two[0], tmp_path / "fa")
    nlp = spacy.load(two[1])
    with monkeypatch.context() as m:
        m.setattr(
            "multibert_spacy.adapters.storage.save_tensors",
            lambda *args, **kwargs: (_ for _ in ()).throw(OSError("disk full")),
        )
        with pytest.raises(OSError, match="disk full"):
            nlp.to_disk(tmp_path / "fa")
    with pytest.raises(MultibertError, match="mix of two saves"):
        spacy.load(tmp_path / "fa")
    nlp.to_disk(tmp_path / "fa")
    assert_same_predictions(spacy.load(tmp_path / "fa").pipe(TEXTS), nlp.pipe(TEXTS))
    assert not list((tmp_path / "fa").rglob(".*"))


def test_another_save_in_between(two, tmp_path, monkeypatch):
    """The one whose first part was overwritten says so; the other is whole."""
    from multibert_spacy.pipeline.domain_detector import DomainDetector

    first, second = (spacy.load(folder) for folder in two)
    own, state = DomainDetector.to_disk, []

    def to_disk(self, path, **settings):
        if not state:
            state.append(True)
            other = threading.Thread(target=second.to_disk, args=[tmp_path / "fa"])
            other.start()
            other.join()
        own(self, path, **settings)

    monkeypatch.setattr(DomainDetector, "to_disk", to_disk)
    with pytest.raises(MultibertError, match="Another save to .* has replaced"):
        first.to_disk(tmp_path / "fa")
    assert_same_predictions(spacy.load(tmp_path / "fa").pipe(TEXTS), second.pipe(TEXTS))


# Drafts


def test_drafts_have_names_of_their_own(tmp_path):
    with draft_in(tmp_path) as one, draft_in(tmp_path) as two:
        assert one != two and one.is_dir() and two.is_dir() and has_draft(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_drafts_of_the_dead_are_removed(tmp_path):
    child = os.fork()
    if child == 0:
        _kept = draft_in(tmp_path)
        _kept.__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (dead,) = tmp_path.iterdir()
    (dead / "half").mkdir()
    with draft_in(tmp_path) as draft:
        assert [path.name for path in tmp_path.iterdir()] == [draft.name]


def test_a_swap_that_fails_is_taken_back(tmp_path):
    for name in ("cfg", "domains"):
        (tmp_path / name).write_text("old")
    with draft_in(tmp_path) as draft:
        (draft / "cfg").write_text("new")
        with pytest.raises(FileNotFoundError):
            swap(draft, tmp_path, ["cfg", "domains"])
        assert (tmp_path / "cfg").read_text() == (tmp_path / "domains").read_text() == "old"
        with pytest.raises(MultibertError, match="is not the name"):
            swap(draft, tmp_path, ["../cfg"])
    assert sorted(os.listdir(tmp_path)) == ["cfg", "domains"]
