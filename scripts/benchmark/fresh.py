"""A function in a fresh process: for figures that what ran before would spoil.

Nothing heavy is imported here, so that the function can time its own imports.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class FreshError(RuntimeError):
    """The process failed, or its peak cannot be told."""


def peak_megabytes() -> float:
    """RETURNS (float): The most memory that this process has had resident, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def call(
    function: Callable[..., Any], kwargs: dict[str, Any], *, threads: int, peak: bool = True
) -> tuple[Any, float]:
    """Call a function in a process of its own.

    function (Callable): Of a module; takes and returns JSON values.
    threads (int): Of OpenMP (torch) and rayon (tokenizers).
    peak (bool): Whether the peak is asked for, and must be its own.
    RETURNS (tuple): What it returned, and the process's peak in MB.
    RAISES (FreshError): If it failed.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    command = [sys.executable, "-m", "scripts.benchmark.fresh", name]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    given = {"input": json.dumps(kwargs), "stdout": subprocess.PIPE, "text": True}
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, **given)
    if done.returncode:
        raise FreshError(f"{name} failed in its own process, see above")
    reply = json.loads(done.stdout.splitlines()[-1])
    # Linux hands the peak of the process that starts another one down to it.
    if peak and reply["peak"] <= reply["inherited"]:
        raise FreshError(f"{name}: the peak of {reply['peak']:.0f} MB is that of its parent")
    return reply["value"], reply["peak"]


def _main(name: str) -> None:
    inherited = peak_megabytes()
    module, function = name.split(":")
    value = getattr(importlib.import_module(module), function)(**json.load(sys.stdin))
    reply = {"value": value, "inherited": inherited, "peak": peak_megabytes()}
    sys.stdout.write(f"\n{json.dumps(reply)}\n")


if __name__ == "__main__":
    _main(sys.argv[1])
