"""One domain as a wheel, which `pip install` makes an add-on of every pipeline on its core.

Built as `python -m build --no-isolation` builds, by setuptools' own PEP 517 hook: spaCy brings
setuptools, and nothing is downloaded. The wheel holds the domain's folder, card and licences; its
only module is empty.
"""

import json
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path

from spacy.language import Language

from ..errors import ConfigError
from ..pipeline.addons import ADDONS, DOMAIN
from ..serialization.drafts import draft_in
from .components import check_known
from .folders import save_domain
from .output import LICENCES

__all__ = ["build_wheel", "package_domain"]

PREFIX = "fa_multibert_"
SETUP = """import json
from pathlib import Path

from setuptools import setup

setup(**json.loads(Path("setup.json").read_text(encoding="utf8")))
"""
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def package_domain(
    nlp: Language, name: str, folder: str | Path, *, version: str | None = None
) -> Path:
    """Build the wheel `fa_multibert_NAME` of one domain.

    nlp (Language): A pipeline, loaded from a folder or package if its licence files are to come
        along.
    name (str): A domain.
    folder (Path): Where the wheel is put; made if it is missing.
    version (str): Of the wheel; None takes the pipeline's.
    RETURNS (Path): The wheel.
    RAISES (DomainError): If there is no such domain.
    RAISES (ConfigError): If no package can have the name or what the meta says, or setuptools
        cannot build.
    """
    check_known(nlp, name)
    package = package_name(name)
    about = _about(nlp, name, package, version or nlp.meta["version"])
    with draft_in(Path(folder)) as draft:
        project = draft / "project"
        (project / package).mkdir(parents=True)
        (project / package / "__init__.py").write_text(
            f'"""The domain {name} of multibert_spacy, in the folder `{DOMAIN}`."""\n', "utf8"
        )
        save_domain(nlp, name, project / package / DOMAIN)
        shutil.copy2(project / package / DOMAIN / "README.md", project / "README.md")
        for licence in LICENCES:
            if nlp.path is not None and (nlp.path / licence).is_file():
                shutil.copy2(nlp.path / licence, project / licence)
        about["long_description"] = (project / "README.md").read_text("utf8")
        (project / "setup.json").write_text(json.dumps(about), "utf8")
        (project / "setup.py").write_text(SETUP, "utf8")
        wheel = build_wheel(project)
        return wheel.replace(Path(folder) / wheel.name)


def package_name(domain: str) -> str:
    """Return the name of a domain's package.

    pip takes capitals for small letters, and any run of '-', '_' and '.' for one '-'. Whatever it
    would not leave as it is could be the package of another domain, in this or another pipeline,
    whose installation would replace it.

    RAISES (ConfigError): If no package can have the name, or another domain's could have it too.
    """
    if not re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", domain):
        raise ConfigError(
            "A package's name has small letters from a to z, digits and single '_' between them, "
            f"so that pip can tell it from all others, and {domain!r} has not: rename the domain "
            "first"
        )
    return f"{PREFIX}{domain}"


def _check_lines(fields: Mapping[str, object]) -> None:
    """Check fields of a package, of which a second line would be another field.

    RAISES (ConfigError): If one is no text of one line.
    """
    for key, value in fields.items():
        if not isinstance(value, str) or any(unicodedata.category(c) == "Cc" for c in value):
            raise ConfigError(
                f"The {key} of a package must be a text of one line, got {value!r:.100}: see "
                "nlp.meta"
            )


def _about(nlp: Language, name: str, package: str, version: str) -> dict[str, object]:
    """Return what setuptools' `setup` takes."""
    tagger = check_known(nlp, name)
    meta = nlp.meta
    described = " ".join(tagger.model.descriptions.get(name, "").split())
    own = installed_version("multibert-spacy")
    fields = {
        "author": meta.get("author", ""),
        "author_email": meta.get("email", ""),
        "url": meta.get("url", ""),
        "license": meta.get("license", ""),
        "version": version,
    }
    fields = {key: value for key, value in fields.items() if value}
    _check_lines(fields)
    return {
        **fields,
        "name": package,
        "description": f"The domain {name} of multibert_spacy. {described}".strip()[:500],
        "long_description_content_type": "text/markdown",
        "packages": [package],
        "package_data": {package: [f"{DOMAIN}/*"]},
        "python_requires": ">=3.11",
        "install_requires": [f"multibert-spacy>={own}"],
        "entry_points": {ADDONS: [f"{name} = {package}"]},
    }


def build_wheel(project: Path) -> Path:
    """Build a wheel of a setuptools project, offline.

    project (Path): With a `setup.py`; gets a folder `dist`.
    RETURNS (Path): The wheel.
    RAISES (ConfigError): If it could not be built.
    """
    dist = (project / "dist").resolve()  # the build runs in another folder
    dist.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(dist)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(dist.glob("*.whl"))
    if done.returncode or not wheels:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        raise ConfigError(
            f"setuptools cannot build the wheel: {lines[-1]}. If it is missing or older than "
            '70.1: pip install "multibert-spacy[package]"'
        )
    return wheels[0]
