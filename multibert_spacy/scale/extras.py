"""Libraries that only some users need, named by the extra that brings them."""

from importlib import import_module
from typing import Any

from ..errors import ConfigError

__all__ = ["need"]


def need(module: str, extra: str, *, instead: str = "") -> Any:
    """Import an optional library.

    module (str): Its name.
    extra (str): The extra of this distribution that installs it.
    instead (str): What can be done without it.
    RETURNS (Any): The module.
    RAISES (ConfigError): If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as e:
        if e.name != module.partition(".")[0]:
            raise
        install = f'{module} is not installed: pip install "multibert-spacy[{extra}]"'
        raise ConfigError(f"{install}, or {instead}" if instead else install) from e
