"""A domain's folder without this package: PEFT loads it, and the card's code finds the same."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import LORA, PREFIX, toy_text
from peft import PeftModel
from transformers import AutoModel

from multibert_spacy import load_domain, save_domain
from multibert_spacy.domains.card import ON_THE_HUB


def plain_code(folder):
    """The last Python block of the card."""
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text("utf8"), re.S)[-1]


def run_plain(folder, core, words, monkeypatch):
    """RETURNS (list[str]): The tags that the card's code gives words."""
    code = plain_code(folder)
    code = code.replace('"transformer/model"', repr(str(core)))
    code = code.replace('"علی کریمی به تهران رفت"', repr(" ".join(words)))
    monkeypatch.chdir(folder)
    space = {"print": lambda pairs: space.update(found=[tag for _, tag in pairs])}
    exec(compile(code, "README.md", "exec"), space)
    return space["found"]


def tags_of(doc):
    return [f"{w.ent_iob_}-{w.ent_type_}".removesuffix("-").replace("O-", "O") for w in doc]


@pytest.mark.parametrize("kind", ["bert", "xlmr", "roberta"])
@pytest.mark.parametrize("adapter", [LORA, PREFIX], ids=["lora", "prefix"])
def test_the_card_s_code_finds_the_same(make_nlp, tmp_path, monkeypatch, kind, adapter):
    nlp = make_nlp(core=kind, adapter=adapter, detector=False)
    nlp.to_disk(tmp_path / "pipeline")
    save_domain(nlp, "news", tmp_path / "news")
    core = tmp_path / "pipeline" / "transformer" / "model"
    found = []
    for i in range(3):
        doc = nlp.make_doc(toy_text("news", n_words=20, seed=i))
        doc._.domain = "news"
        doc = nlp(doc)
        words = [word.norm_ for word in doc]
        assert run_plain(tmp_path / "news", core, words, monkeypatch) == tags_of(doc)
        found += tags_of(doc)
    assert {tag[0] for tag in found} >= {"B", "I"}


def test_the_code_is_short(mixed, tmp_path):
    save_domain(mixed, "news", tmp_path / "news")
    lines = plain_code(tmp_path / "news").split("# The best sequence")[0].strip().splitlines()
    assert len([line for line in lines if line and not re.match("import|from", line)]) == 10


def test_peft_loads_the_folder_on_the_core(trained_folder, trained, tmp_path):
    save_domain(trained, "news", tmp_path / "news")
    core = AutoModel.from_pretrained(trained_folder / "transformer" / "model")
    model = PeftModel.from_pretrained(core, tmp_path / "news")
    assert model.peft_config["default"].r == 4


def test_what_the_card_says(mixed, tmp_path):
    mixed.meta.update(license="MIT", name="multibert", version="1.2.3")
    save_domain(mixed, "news", tmp_path / "news")
    card = (tmp_path / "news" / "README.md").read_text("utf8")
    for part in ("# news", "خبر دولت", "LOC, ORG, POG", "`fa_multibert` 1.2.3", "Licence: MIT."):
        assert part in card
    huggingface_hub = pytest.importorskip("huggingface_hub")
    data = huggingface_hub.ModelCard.load(tmp_path / "news" / "README.md").data
    assert (data.library_name, data.language, data.license) == ("peft", "fa", "mit")
    assert set(ON_THE_HUB.values()) >= {"mit"}


def test_a_card_may_be_edited(mixed, tmp_path):
    save_domain(mixed, "news", tmp_path / "news")
    (tmp_path / "news" / "README.md").write_text("mine", "utf8")
    assert load_domain(mixed, tmp_path / "news", "press") == "press"


def test_a_domain_goes_to_the_hub_and_back(mixed, mixed_folder, tmp_path, monkeypatch):
    """Offline: what would be committed is put into a folder, which is what one downloads."""
    hub = pytest.importorskip("huggingface_hub")
    save_domain(mixed, "news", tmp_path / "news")
    repo, cards = tmp_path / "hub", []

    def checked(url, json, headers):
        cards.append(json["content"])
        return SimpleNamespace(json=dict, raise_for_status=lambda: None, headers={})

    def commit(self, repo_id, operations, **rest):
        for own in operations:
            path = repo / own.path_in_repo
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(Path(own.path_or_fileobj).read_bytes())
        url = f"https://huggingface.co/{repo_id}/commit/1"
        return hub.CommitInfo(commit_url=url, commit_message="", commit_description="", oid="1")

    monkeypatch.setattr(hub.HfApi, "create_commit", commit)
    monkeypatch.setattr(hub.hf_api, "get_session", lambda: SimpleNamespace(post=checked))
    hub.HfApi().upload_folder(folder_path=tmp_path / "news", repo_id="me/fa_multibert_news")
    assert cards == [(repo / "README.md").read_text("utf8")]
    load_domain(mixed, repo, "press")
    docs = [mixed.make_doc(toy_text("news")), mixed.make_doc(toy_text("news"))]
    docs[0]._.domain, docs[1]._.domain = "news", "press"
    one, two = mixed.pipe(docs)
    assert tags_of(one) == tags_of(two)
