"""A pipeline's wheel goes to the hub by spaCy's own command, and what is there can be loaded."""

import shutil
from pathlib import Path

import pytest
import spacy
from conftest import assert_same_predictions, toy_text
from spacy.cli.package import package

from multibert_spacy.domains.publish import build_wheel

TEXTS = [toy_text(domain) for domain in ("news", "travel")]


def test_spacy_s_push(mixed, mixed_folder, tmp_path, monkeypatch):
    """Offline: what would be uploaded is put into a folder, which is what one downloads."""
    push = pytest.importorskip("spacy_huggingface_hub.push")
    package(mixed_folder, tmp_path, name="toy", version="1.0", create_sdist=False)
    wheel = build_wheel(tmp_path / "fa_toy-1.0")
    repos = []

    def upload(repo_id, folder_path, **rest):
        shutil.copytree(folder_path, tmp_path / "hub")
        return f"https://huggingface.co/{repo_id}/tree/main/"

    monkeypatch.setattr(
        push.HfApi, "create_repo", lambda self, repo_id, **rest: repos.append(repo_id)
    )
    monkeypatch.setattr(push, "upload_folder", upload)
    done = push.push(wheel, namespace="me", silent=True)
    assert repos == ["me/fa_toy"]
    assert done["url"] == "https://huggingface.co/me/fa_toy"
    assert "tags:\n- spacy\nlanguage:\n- fa" in (tmp_path / "hub" / "README.md").read_text("utf8")
    assert Path(tmp_path / "hub" / "fa_toy-any-py3-none-any.whl").is_file()
    loaded = spacy.load(tmp_path / "hub")
    assert_same_predictions(loaded.pipe(TEXTS), mixed.pipe(TEXTS))
