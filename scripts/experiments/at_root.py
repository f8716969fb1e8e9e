"""Run a module as `python -m` does, from the root of the repository, wherever one stands:

    python at_root.py scripts.experiments.sizes --metrics metrics/sizes.json

`spacy project run` runs the commands of a project in its own folder; those of this one need the
repository's.
"""

import os
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    os.chdir(root)
    sys.path[0] = str(root)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
