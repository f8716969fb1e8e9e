"""What a result says of its origin."""

import sys
from types import SimpleNamespace

import pytest

from scripts.record import running_module


def test_a_record_names_the_script_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def module_when(name: str | None) -> str:
        spec = None if name is None else SimpleNamespace(name=name)
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec, raising=False)
        return running_module("scripts.build.train")

    assert module_when("scripts.experiments.sweep.__main__") == "scripts.experiments.sweep"
    assert module_when("scripts.experiments.recipe") == "scripts.experiments.recipe"
    assert module_when("pytest.__main__") == module_when(None) == "scripts.build.train"
