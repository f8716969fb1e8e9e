"""What a process is left with: nothing by an import, little by a core that is made."""

import os
import subprocess
import sys

import pytest

from multibert_spacy.core.process import CACHES

WATCH = """
import importlib, logging, os, pkgutil, sys
import spacy, spacy_transformers, torch, transformers
import peft, thinc.api
import multiprocessing

def state():
    root = logging.getLogger()
    levels = {name: logger.level for name, logger in root.manager.loggerDict.items()
              if isinstance(logger, logging.Logger) and not name.startswith("multibert_spacy")}
    return [dict(os.environ), root.level, list(root.handlers), levels, sys.stdout, sys.stderr,
            transformers.logging.get_verbosity(), torch.get_num_threads()]

def in_a_child():
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, str(torch.get_num_threads()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return int(os.read(read, 9))

torch.set_num_threads(3)
before = state()
import multibert_spacy
for module in pkgutil.walk_packages(multibert_spacy.__path__, "multibert_spacy."):
    if "openvino" not in module.name:
        importlib.import_module(module.name)
"""


def run(code, **settings):
    environment = {k: v for k, v in os.environ.items() if k not in CACHES}
    command = [sys.executable, "-c", WATCH + code]
    found = subprocess.run(command, env={**environment, **settings}, capture_output=True)
    assert not found.returncode, found.stderr.decode()
    return found.stdout.decode().split()


def test_an_import_changes_nothing():
    """Neither the environment, nor logging, nor the streams, nor what forked children have."""
    code = (
        "after = state()\n"
        "after[3] = {name: after[3][name] for name in before[3]}\n"
        "same = [a == b for a, b in zip(before, after, strict=True)]\n"
    )
    assert run(code + "print(*same, in_a_child())") == [*["True"] * 8, "3"]


@pytest.mark.parametrize("own, expected", [({}, "64 64 1"), ({CACHES[1]: "9"}, "64 9 1")])
def test_what_a_core_needs(own, expected):
    """Few compiled products are kept unless the user says how many, and a child has one thread."""
    code = f"""
from multibert_spacy.core.process import prepare_process
prepare_process()
print(*(os.environ[name] for name in {CACHES!r}), in_a_child())
"""
    assert run(code, **own) == expected.split()


def test_a_core_that_is_made_prepares_its_process(core_folder, monkeypatch):
    from multibert_spacy.core import encoder
    from tests.tiny import load_core

    seen = []
    monkeypatch.setattr(encoder, "prepare_process", lambda: seen.append(True))
    load_core(core_folder)
    assert seen == [True]
