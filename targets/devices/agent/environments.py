"""Environments on a device: packages in a folder, which count once they are stamped.

``environments/NAME`` in edgekit's folder has ``site``, the packages, and ``edgekit.json``, the
stamp, written after a model ran there. One that has only a stamp says that a runtime which the
device has of its own ran a model. Whatever ends the making before the stamp leaves a folder that is
never taken for an environment.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, List, Mapping

from .serving import Call, CallRefused
from .wheels import unpack, unpacked_bytes

Json = Any
FOLDER, STAMP, SITE, PART = "environments", "edgekit.json", "site", ".part-"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# Bytes to leave free: a device whose disk is full to the brim is hard to get into.
SPARE = 8 << 20


def make(call: Call, name: str, wheels: Mapping[str, str]) -> Mapping[str, Json]:
    """Unpack wheels that lie here, paths by the names of their files, as the environment ``name``.

    ``site`` is the folder of its packages. It counts once :func:`stamp` was called. Raises
    :class:`BadWheel`, and ``OSError`` where the disk does not take it; neither leaves anything.
    """
    final = _place(call, name)
    paths = {wheel: Path(path) for wheel, path in wheels.items()}
    call.folder.make(FOLDER)
    _sweep(final.parent)
    needed, free = unpacked_bytes(paths) + SPARE, shutil.disk_usage(final.parent).free
    if needed > free:
        what = "%.0f MB are needed, %.0f MB are free" % (needed / 1e6, free / 1e6)
        raise OSError(errno.ENOSPC, what, str(final.parent))
    part = final.with_name("%s%s%d" % (name, PART, os.getpid()))
    try:
        unpack(paths, part / SITE)
        # Whatever is there was made for something else, or by half.
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return {"site": str(final / SITE)}


def stamp(call: Call, name: str, facts: Mapping[str, Json]) -> Mapping[str, Json]:
    """Say that the environment ``name`` works; ``facts`` is what is told of it later."""
    place = call.folder.make(FOLDER, name)
    part = place / ("%s%s%d" % (STAMP, PART, os.getpid()))
    part.write_text(json.dumps(facts))
    part.replace(place / STAMP)
    return {"folder": str(place)}


def made(call: Call) -> Mapping[str, Json]:
    """Return ``environments``: those that are stamped, each with its ``name``, ``folder`` and
    facts.

    ``there`` says whether edgekit has a folder here at all.
    """
    stamped: List[Mapping[str, Json]] = []
    for path in sorted((call.folder.path / FOLDER).glob("*/" + STAMP)):
        with contextlib.suppress(OSError, ValueError):
            facts = json.loads(path.read_text())
            stamped.append({**facts, "name": path.parent.name, "folder": str(path.parent)})
    return {"environments": stamped, "there": call.folder.path.is_dir()}


def remove(call: Call, name: str) -> Mapping[str, Json]:
    """Delete the environment ``name``, made or half-made; ``removed`` says whether it was there."""
    place = _place(call, name)
    there = place.is_dir()
    # The stamp first: what is half deleted is not an environment.
    with contextlib.suppress(FileNotFoundError):
        (place / STAMP).unlink()
    if there:
        shutil.rmtree(place)
    return {"removed": there, "folder": str(place)}


def erase(call: Call) -> Mapping[str, Json]:
    """Delete edgekit's folder here, with all that is in it, and the folders made on the way to it.

    ``removed`` says whether it was there. Raises :class:`Refused` where it is not edgekit's.
    """
    try:
        removed = call.folder.erase()
    except ValueError as error:
        raise CallRefused("foreign", str(error)) from error
    return {"removed": removed, "folder": str(call.folder.path)}


def _place(call: Call, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise CallRefused("failed", "%r names no environment" % name)
    return call.folder.path / FOLDER / name


def _sweep(folder: Path) -> None:
    """Remove what interrupted makings left: those whose process is gone."""
    for path in folder.glob("*%s*" % PART):
        pid = path.name.rpartition("-")[2]
        if not pid.isdigit() or not Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


METHODS = {"make": make, "stamp": stamp, "made": made, "remove": remove, "erase": erase}
