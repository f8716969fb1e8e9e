"""A changed pipeline's folder: in one step, and sharing what did not change."""

import os

import pytest
import spacy
from conftest import assert_same_predictions, toy_text

from multibert_spacy import ConfigError, MultibertError, rename_domain
from multibert_spacy.domains.output import check_place, write_pipeline
from multibert_spacy.serialization import drafts

CORE = "transformer/model/model.safetensors"
TEXTS = [toy_text("travel"), toy_text("news")]


def test_what_did_not_change_is_linked_and_what_spacy_writes_is_not(trained, tmp_path):
    write_pipeline(trained, trained.path, tmp_path / "out")
    adapter = "multibert_ner/domains/news/adapter_model.safetensors"
    for name in (CORE, adapter):
        assert os.path.samefile(trained.path / name, tmp_path / "out" / name)
    for name in ("config.cfg", "meta.json", "vocab/strings.json", "multibert_ner/cfg"):
        assert not os.path.samefile(trained.path / name, tmp_path / "out" / name)
    loaded = spacy.load(tmp_path / "out")
    assert_same_predictions(loaded.pipe(TEXTS), trained.pipe(TEXTS))


def test_a_renamed_domain_is_linked_too(trained, tmp_path):
    rename_domain(trained, "news", "press")
    write_pipeline(trained, trained.path, tmp_path / "out")
    domains, name = "multibert_ner/domains", "adapter_model.safetensors"
    old = trained.path / domains / "news" / name
    assert os.path.samefile(old, tmp_path / "out" / domains / "press" / name)


def test_a_save_over_the_output_leaves_its_source(trained, tmp_path):
    write_pipeline(trained, trained.path, tmp_path / "first")
    before = {p: p.read_bytes() for p in (tmp_path / "first").rglob("*") if p.is_file()}
    write_pipeline(trained, tmp_path / "first", tmp_path / "second")
    trained.meta["description"] = "another"
    trained.get_pipe("multibert_ner").model.module.remove_domain("news")
    trained.to_disk(tmp_path / "second")
    assert {p: p.read_bytes() for p in (tmp_path / "first").rglob("*") if p.is_file()} == before


def test_a_pipeline_is_replaced_whole(trained, tmp_path):
    out = tmp_path / "out"
    write_pipeline(trained, trained.path, out)
    trained.get_pipe("multibert_ner").model.module.remove_domain("news")
    write_pipeline(trained, None, out)
    assert not (out / "multibert_ner" / "domains" / "news").exists()
    assert set(spacy.load(out).get_pipe("multibert_ner").domains) == {"sports", "travel"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_pipeline_with_something_of_the_users_in_it_stays(trained, tmp_path):
    out = tmp_path / "out"
    write_pipeline(trained, trained.path, out)
    (out / "my_notes.txt").write_text("years of work", encoding="utf8")
    with pytest.raises(ConfigError, match="it holds 'my_notes.txt'"):
        write_pipeline(trained, None, out)
    assert (out / "my_notes.txt").read_text(encoding="utf8") == "years of work"


@pytest.mark.parametrize("meta", [False, True])
def test_a_project_with_a_config_is_no_pipeline(trained, tmp_path, meta):
    project = tmp_path / "project"
    (project / "corpus").mkdir(parents=True)
    (project / "config.cfg").write_text(trained.config.to_str(), encoding="utf8")
    if meta:
        (project / "meta.json").write_text("{}", encoding="utf8")
    with pytest.raises(ConfigError, match="is there and no pipeline"):
        check_place(project)


def test_a_config_that_cannot_be_read_is_no_pipelines(tmp_path):
    (tmp_path / "meta.json").write_text("{}", encoding="utf8")
    (tmp_path / "config.cfg").write_text("[nlp\nfoo", encoding="utf8")
    with pytest.raises(ConfigError, match="is there and no pipeline"):
        check_place(tmp_path)


def test_a_folder_of_something_else_stays(trained, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf8")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ConfigError, match="is there and no pipeline"):
            write_pipeline(trained, None, place)
    (tmp_path / "empty").mkdir()
    assert check_place(tmp_path / "empty") == tmp_path / "empty"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "thesis.txt"]


def test_a_place_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x", encoding="utf8")
    os.symlink("loop", tmp_path / "loop")
    for name in ("file/out", "file/a/out", "loop", "loop/out", "a" * 300, "a\0b"):
        with pytest.raises(
            ConfigError, match="No pipeline can be written|is there and no pipeline"
        ):
            check_place(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(ConfigError, match="No pipeline can be written to .*: Permission denied"):
        check_place(tmp_path / "out")


def test_a_place_that_is_made(tmp_path):
    assert check_place(tmp_path / "new" / "out") == tmp_path / "new" / "out"
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_exchanged_the_old_one_stays(trained, tmp_path, monkeypatch):
    write_pipeline(trained, None, tmp_path / "out")
    monkeypatch.setattr(drafts, "_exchange", lambda one, other: False)
    trained.get_pipe("multibert_ner").model.module.remove_domain("news")
    with pytest.raises(MultibertError, match="name a new folder"):
        write_pipeline(trained, None, tmp_path / "out")
    assert "news" in spacy.load(tmp_path / "out").get_pipe("multibert_ner").domains


def test_licences_go_along(trained, tmp_path):
    write_pipeline(trained, None, tmp_path / "model")
    (tmp_path / "model" / "LICENSE").write_text("MIT", encoding="utf8")
    write_pipeline(trained, tmp_path / "model", tmp_path / "out")
    assert (tmp_path / "out" / "LICENSE").read_text(encoding="utf8") == "MIT"
