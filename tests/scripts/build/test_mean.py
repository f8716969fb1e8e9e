"""Checkpoints of one shape have a mean; others have none."""

import pytest
import spacy
import torch
from conftest import toy_text

from multibert_spacy.errors import ConfigError
from scripts.build import train


def moved(trained_folder, folder, by):
    """The same pipeline with all of the tagger's weights moved."""
    nlp = spacy.load(trained_folder)
    module = nlp.get_pipe("multibert_ner").model.module
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by)
    module.weights_changed()
    nlp.to_disk(folder)
    return folder


def average(folders, out):
    train.mean(folders, out)
    return spacy.load(out)


def weights(nlp):
    return nlp.get_pipe("multibert_ner").model.module.state_dict()


def test_moved_one_way_and_the_other(trained_folder, tmp_path):
    up = moved(trained_folder, tmp_path / "up", 0.25)
    down = moved(trained_folder, tmp_path / "down", -0.75)
    mean, plain = average([up, down], tmp_path / "mean"), spacy.load(trained_folder)
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(mean)[name], tensor - 0.25, rtol=0, atol=2e-3)
    text = toy_text("travel", n_words=6, seed=1)
    mean(text)


def test_the_mean_of_one_is_itself(trained_folder, tmp_path):
    mean, plain = average([trained_folder], tmp_path / "mean"), spacy.load(trained_folder)
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(mean)[name], tensor)


def test_other_domains_have_no_mean(trained_folder, tmp_path):
    nlp = spacy.load(trained_folder)
    module = nlp.get_pipe("multibert_ner").model.module
    module.remove_domain(module.domains[0])
    nlp.to_disk(tmp_path / "fewer")
    with pytest.raises(ConfigError, match="not of the shape"):
        average([trained_folder, tmp_path / "fewer"], tmp_path / "mean")
