"""How far something is, for whoever waits at a terminal."""

import shutil
from typing import Any

from tqdm import tqdm

__all__ = ["progress_bar"]


def progress_bar(*, unit: str, **settings: Any) -> Any:
    """A bar on a terminal, nothing elsewhere.

    tqdm by itself draws none on a terminal that does not tell its size, as in many containers.

    unit (str): What is counted.
    settings (Any): Others of tqdm's.
    RETURNS (tqdm): The bar; a context that closes it.
    """
    columns, lines = shutil.get_terminal_size()
    return tqdm(unit=unit, ncols=columns, nrows=lines, disable=None, **settings)
