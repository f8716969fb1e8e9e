"""A domain as a wheel: built, installed, used, detected, listed, and gone without a trace."""

import importlib
import logging
import zipfile
from importlib.metadata import distribution

import pytest
import spacy
from conftest import assert_same_predictions, toy_text

from multibert_spacy import (
    AdapterError,
    ConfigError,
    DomainError,
    load_domain,
    package_domain,
    remove_domain,
    rename_domain,
)
from multibert_spacy.cli.domains import describe_domains
from multibert_spacy.pipeline.addons import installed_addons

DOMAINS = ["news", "sports", "travel"]
TEXTS = [toy_text(domain, seed=i) for i in range(3) for domain in DOMAINS]
ADDONS = {"components.multibert_ner.addons": ["law"]}


@pytest.fixture(scope="module")
def wheel(mixed_folder, tmp_path_factory):
    """The domain `news`, as `law`."""
    nlp = spacy.load(mixed_folder)
    nlp.meta.update(license="MIT", author="Somebody", version="1.2.3")
    rename_domain(nlp, "news", "law")
    return package_domain(nlp, "law", tmp_path_factory.mktemp("dist"))


@pytest.fixture
def install(wheel, tmp_path, monkeypatch):
    """Unpack the wheel where Python finds it, as pip does; what it returns takes it away."""

    def installed():
        with zipfile.ZipFile(wheel) as files:
            files.extractall(tmp_path / "site")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path / "site")
            importlib.invalidate_caches()
            yield
        importlib.invalidate_caches()
        yield

    steps = installed()
    next(steps)
    yield lambda: next(steps)
    steps.close()


def said(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_is_in_the_wheel(wheel):
    assert wheel.name == "fa_multibert_law-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        about = files.read("fa_multibert_law-1.2.3.dist-info/METADATA").decode("utf8")
        entry = files.read("fa_multibert_law-1.2.3.dist-info/entry_points.txt").decode("utf8")
        code = files.read("fa_multibert_law/__init__.py").decode("utf8")
    assert {f"fa_multibert_law/domain/{name}" for name in ("multibert.json", "README.md")} <= names
    for line in ("License: MIT", "Author: Somebody", "Requires-Dist: multibert-spacy>="):
        assert line in about
    assert "خبر دولت" in about
    assert "[multibert_domains]\nlaw = fa_multibert_law" in entry
    assert code == '"""The domain law of multibert_spacy, in the folder `domain`."""\n'
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]


def test_an_addon_is_used_detected_and_listed(mixed_folder, install, caplog):
    nlp = spacy.load(mixed_folder, config=ADDONS)
    tagger, detector = nlp.get_pipe("multibert_ner"), nlp.get_pipe("domain_detector")
    assert sorted(tagger.domains) == ["law", *DOMAINS]
    assert sorted(detector.labels) == ["law", *DOMAINS]
    assert {own["name"]: own["detected"] for own in describe_domains(nlp)}["law"] is True
    assert nlp.meta["labels"]["domain_detector"][-1] == "law"
    doc = nlp.make_doc(TEXTS[0])
    doc._.domain = "law"
    assert nlp(doc).spans["multibert_ner"].attrs["scores"] is not None
    remove_domain(nlp, "news")
    assert nlp(TEXTS[0])._.domain == "law"
    assert said(caplog) == []


def test_it_leaves_no_trace(mixed_folder, install, tmp_path, caplog):
    before = list(spacy.load(mixed_folder).pipe(TEXTS))
    nlp = spacy.load(mixed_folder, config=ADDONS)
    nlp.to_disk(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out/multibert_ner/domains").iterdir()) == DOMAINS
    again = spacy.load(tmp_path / "out")
    assert sorted(again.get_pipe("multibert_ner").domains) == ["law", *DOMAINS]
    assert_same_predictions(again.pipe(TEXTS), nlp.pipe(TEXTS))
    assert_same_predictions(nlp.from_bytes(nlp.to_bytes()).pipe(TEXTS), again.pipe(TEXTS))
    install()
    with pytest.raises(DomainError, match="'law' of component 'multibert_ner' is not installed"):
        spacy.load(tmp_path / "out")
    without = spacy.load(tmp_path / "out", config={"components.multibert_ner.addons": []})
    assert_same_predictions(without.pipe(TEXTS), before)
    assert said(caplog) == []


def test_its_code_is_not_run(mixed_folder, install, tmp_path):
    module = tmp_path / "site" / "fa_multibert_law" / "__init__.py"
    module.write_text("raise SystemExit('run')\n", "utf8")
    assert "law" in spacy.load(mixed_folder, config=ADDONS).get_pipe("multibert_ner").domains


@pytest.mark.parametrize("name", ["law", "fa_multibert_law"])
def test_it_may_be_loaded_into_a_pipeline(mixed, install, tmp_path, name):
    assert load_domain(mixed, name) == "law"
    mixed.to_disk(tmp_path / "out")
    install()
    loaded = spacy.load(tmp_path / "out")
    assert sorted(loaded.get_pipe("multibert_ner").domains) == ["law", *DOMAINS]
    assert "law" in loaded.get_pipe("domain_detector").labels


def test_one_that_is_not_installed(mixed, mixed_folder):
    assert "law" not in installed_addons()
    with pytest.raises(DomainError, match="no installed add-on"):
        load_domain(mixed, "fa_multibert_law")
    with pytest.raises(DomainError, match=r"\(installed: none\). pip install .*fa_multibert_law"):
        spacy.load(mixed_folder, config=ADDONS)


def test_one_for_another_core(make_nlp, install, tmp_path):
    make_nlp().to_disk(tmp_path / "other")
    with pytest.raises(AdapterError, match="fa_multibert_law/domain was made for another core"):
        spacy.load(tmp_path / "other", config=ADDONS)


def test_removed_and_renamed_addons(mixed_folder, install, tmp_path):
    nlp = spacy.load(mixed_folder, config=ADDONS)
    rename_domain(nlp, "law", "court")
    assert nlp.config["components"]["multibert_ner"]["addons"] == []
    nlp.to_disk(tmp_path / "renamed")
    nlp = spacy.load(mixed_folder, config=ADDONS)
    remove_domain(nlp, "law")
    nlp.to_disk(tmp_path / "removed")
    install()
    renamed, removed = spacy.load(tmp_path / "renamed"), spacy.load(tmp_path / "removed")
    assert sorted(renamed.get_pipe("multibert_ner").domains) == ["court", *DOMAINS]
    assert sorted(removed.get_pipe("multibert_ner").domains) == DOMAINS
    assert sorted(removed.get_pipe("domain_detector").labels) == DOMAINS


def test_a_sourced_component_may_have_addons(mixed_folder, install):
    nlp = spacy.load(mixed_folder)
    parts = {name: {"source": str(mixed_folder)} for name in nlp.pipe_names}
    parts["multibert_ner"]["addons"] = ["law"]
    config = {"nlp": {**nlp.config["nlp"]}, "components": parts}
    made = spacy.util.load_model_from_config(config, auto_fill=True)
    assert sorted(made.get_pipe("multibert_ner").domains) == ["law", *DOMAINS]
    assert "law" in made.get_pipe("domain_detector").labels


def test_an_addon_of_a_name_that_is_taken(mixed, install, tmp_path):
    rename_domain(mixed, "news", "law")
    mixed.to_disk(tmp_path / "own")
    with pytest.raises(DomainError, match="There is a domain 'law' already"):
        spacy.load(tmp_path / "own", config=ADDONS)


def test_names_of_packages(mixed, tmp_path):
    rename_domain(mixed, "news", "حقوقی")
    with pytest.raises(ConfigError, match="rename the domain first"):
        package_domain(mixed, "حقوقی", tmp_path)
    with pytest.raises(DomainError, match="Unknown domain 'law'"):
        package_domain(mixed, "law", tmp_path)
    rename_domain(mixed, "حقوقی", "civil_law_2")
    wheel = package_domain(mixed, "civil_law_2", tmp_path, version="3.0")
    assert wheel.name == "fa_multibert_civil_law_2-3.0-py3-none-any.whl"


def test_a_wheel_in_a_relative_folder(mixed, tmp_path, monkeypatch):
    """As in the docs: the build itself runs in another folder."""
    monkeypatch.chdir(tmp_path)
    wheel = package_domain(mixed, "news", "dist", version="3.0")
    assert (tmp_path / wheel).is_file()
    assert [path.name for path in (tmp_path / "dist").iterdir()] == [wheel.name]


def test_a_build_that_fails_says_what_to_install(mixed, tmp_path):
    with pytest.raises(ConfigError, match=r"setuptools cannot build .*multibert-spacy\[package\]"):
        package_domain(mixed, "news", tmp_path / "dist", version="not a version")
    assert list((tmp_path / "dist").iterdir()) == []


def test_the_package_is_a_distribution(install):
    assert distribution("fa_multibert_law").version == "1.2.3"
    assert installed_addons()["law"] == "fa_multibert_law"


BROKEN = [
    "os:system",
    "os.path",
    "evil [extra]",
    "..",
    "",
    "/tmp/x",
    "evil;evil",
    "evil evil",
    "-",
]


@pytest.mark.parametrize("value", [*BROKEN, "no_such_package", "builtins"])
def test_a_broken_addon_costs_itself_alone(mixed_folder, install, tmp_path, value, caplog):
    about = tmp_path / "site" / "broken-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n", "utf8")
    (about / "entry_points.txt").write_text(f"[multibert_domains]\nfirst = {value}\n", "utf8")
    assert "law" in spacy.load(mixed_folder, config=ADDONS).get_pipe("multibert_ner").domains
    if value in BROKEN:
        assert "The add-on 'first' of broken is left out" in caplog.text
        assert "first" not in installed_addons()
    with pytest.raises(DomainError, match="'first' of component 'multibert_ner' is not installed"):
        spacy.load(mixed_folder, config={"components.multibert_ner.addons": ["first"]})


def test_an_addon_whose_name_no_domain_can_have(mixed_folder, install, tmp_path, caplog):
    about = tmp_path / "site" / "broken-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n", "utf8")
    (about / "entry_points.txt").write_text("[multibert_domains]\n../x = os\n", "utf8")
    assert list(installed_addons()) == ["law"]
    assert "The add-on '../x' of broken is left out" in caplog.text


@pytest.mark.parametrize("name", ["a.b", "a-b", "a__b", "_a", "a_", "A"])
def test_a_name_that_pip_would_take_for_another(mixed, tmp_path, name):
    """`a.b` and `a_b` of two pipelines were one package: the later replaced the earlier."""
    rename_domain(mixed, "news", name)
    with pytest.raises(ConfigError, match=f"{name!r} has not: rename the domain first"):
        package_domain(mixed, name, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize(
    "meta",
    [
        {"author": "a\nb"},
        {"author": 3},
        {"license": "MIT\nClassifier: other"},
        {"license": ["MIT"]},
        {"email": "x\r\ny"},
        {"url": "x\ny"},
        {"version": "1.0\nName: other"},
    ],
)
def test_a_second_line_in_the_meta_is_no_field_of_a_package(mixed, tmp_path, meta):
    mixed.meta.update(meta)
    (key,) = meta
    with pytest.raises(ConfigError, match=f"The .*{key} of a package must be a text of one line"):
        package_domain(mixed, "news", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()
