"""The files of the bundle: the model, its settings and golden items as C++, and fixed sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgekit import scratch
from edgekit.converters.micro import c_array, resolver
from edgekit.converters.micro.names import identifier
from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.bundles.microcontroller import arena
from edgekit.targets.bundles.microcontroller.golden import count_of, golden
from edgekit.targets.bundles.microcontroller.readme import readme
from edgekit.targets.bundles.microcontroller.settings import settings
from edgekit.targets.bundles.microcontroller.tensors import Places, places_of
from edgekit.targets.bundles.processing import c99, spec_of
from edgekit.targets.catalog import Target
from edgekit.targets.devices.arena import Arena

APP = FOLDER / "microcontroller"
SOURCE = re.compile(r"src/\w+\.(c|cpp)")
# Arduino's limit of a library's name.
MOST_CHARACTERS = 63
# Source: semver.org, "Is there a suggested regular expression", without the parts' names.
SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`ConversionError` for an operator that TFLM does not have, and for a dtype that
    the C library does not carry.
    """
    sizes, places = arena.measured(target, contents), places_of(contents)
    sources = _sources(contents, places, sizes)
    placed = {f"src/{name}": content for name, content in sources.items()}
    placed |= _filled_in(contents)
    compiled = sorted(name for name in placed if SOURCE.fullmatch(name))
    placed["sources.cmake"] = _listed(identifier(contents.name), compiled)
    array = (contents.compiled or contents.model).stat().st_size
    text = readme(target, contents, sizes, count_of(contents, places), array)
    placed["README.md"] = text.encode()
    return placed


def library_version(version: str) -> str:
    """Return a version as libraries have it: one that is not semantic becomes the build's name."""
    if SEMANTIC.fullmatch(version):
        return version
    return f"0.0.0+{re.sub(r'[^0-9A-Za-z-]+', '-', version).strip('-') or 'unknown'}"


def _sources(contents: Contents, places: Places, sizes: Arena) -> Mapping[str, bytes]:
    """Return what is written anew for each model."""
    prefix = identifier(contents.name)
    source = contents.compiled or contents.model
    with scratch.held(prefix="edgekit-c-") as folder:
        c_array.write(source, contents.name, folder)
        resolver.write(source, contents.name, folder)
        placed = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    header, arrays = golden(contents, places)
    return {
        **placed,
        **c99.files(spec_of(contents), contents.name),
        f"{prefix}_settings.h": settings(contents, places, sizes).encode(),
        f"{prefix}_golden.h": header.encode(),
        f"{prefix}_golden.cpp": arrays.encode(),
    }


def _filled_in(contents: Contents) -> Mapping[str, bytes]:
    """Return the fixed files, with the model's names in their texts and paths."""
    prefix = identifier(contents.name)
    words = {
        "edgekit_library": f"edgekit_{prefix}"[:MOST_CHARACTERS],
        "edgekit_version": library_version(contents.version),
        "edgekit_title": _title(contents),
        "edgekit_name": prefix,
        "EDGEKIT_NAME": prefix.upper(),
    }

    def replaced(text: str) -> str:
        return re.sub("|".join(words), lambda match: words[match[0]], text)

    return {
        replaced(str(path.relative_to(APP))): replaced(path.read_text(encoding="utf-8")).encode()
        for path in _fixed()
    }


def _fixed() -> list[Path]:
    return sorted(path for path in APP.rglob("*") if path.is_file())


def _title(contents: Contents) -> str:
    """Return what a model is called where quotes and line ends would end a text."""
    title = f"{contents.name} {contents.version}, {contents.precision},"
    return re.sub(r"[^\w .,+-]", "_", title, flags=re.ASCII).rstrip(",")


def _listed(prefix: str, sources: list[str]) -> bytes:
    lines = "".join(f'  "${{CMAKE_CURRENT_LIST_DIR}}/{name}"\n' for name in sources)
    return f"set({prefix.upper()}_SOURCES\n{lines})\n".encode()
