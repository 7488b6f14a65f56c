"""The sha256 of each file that an image installs, by the package index and ``wheels/``."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from edgekit.containers.manifest import MARK
from edgekit.errors import ProjectError

SECONDS = 600
NOT_HASHED = (
    "# Versions are pinned, files are not hashed, because only the package index knows the hashes:"
    " `edgekit containers --hashes` asks it."
)
HASHED = "# pip installs no file of another content."


def with_hashes(text: str, wheels: Path) -> str:
    """Return requirements with the sha256 of each file: that of a wheel in ``wheels``, else of the
    one that pip would install here, which it asks its index for; nothing is installed.

    Raises :class:`ProjectError` where one is not to be had: pip takes all hashes or none.
    """
    about, *lines = text.splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    own = _of_wheels(wheels)
    asked = [pin for pin in pins if pin not in own]
    hashes = {**own, **(_of_index(asked) if asked else {})}
    if missing := [pin for pin in pins if pin not in hashes]:
        raise _unknown(missing[0], "pip named no hash of it")
    listed = [f"{pin} --hash=sha256:{hashes[pin]}" for pin in pins]
    return "\n".join((about, HASHED, *listed)) + "\n"


def _of_wheels(folder: Path) -> dict[str, str]:
    """Return the hashes of wheels in a folder, by their pin."""
    hashes = {}
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, *_ = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        hashes[f"{name}=={version}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def _of_index(pins: list[str]) -> Mapping[str, str]:
    """Ask pip which files it would install, by its report. Raises :class:`ProjectError`."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps"),
        *("--prefer-binary", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--report", "-", *pins),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unknown("the packages", str(error)[:200]) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise _unknown("a package", said[-1][:300] if said else "pip said nothing")
    hashes = {}
    for item in json.loads(done.stdout)["install"]:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        found = item["download_info"].get("archive_info", {}).get("hashes", {})
        if "sha256" in found:
            hashes[f"{canonicalize_name(name)}=={version}"] = str(found["sha256"])
    return hashes


def _unknown(what: str, why: str) -> ProjectError:
    message = f"{what} has no hash to be had, so none is written: {why}"
    hint = (
        "pip asks the index that it is set up for; what no index has, edgekit itself as a rule, is"
        " hashed where its wheel lies in the folder wheels/:"
        " pip wheel --no-deps --wheel-dir deploy/wheels PATH"
    )
    return ProjectError("EK-CONTAINERS-004", message, hint)


def unhashed(text: str) -> str:
    """Return requirements that say that they have no hashes, and how to get them."""
    about, rest = text.split("\n", 1)
    return f"{about}\n{NOT_HASHED}\n{rest}" if about.startswith(MARK) else text
