"""Requests as they are recorded: files by what they hold, not by where they lie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.targets.devices.digests import Digests
from edgekit.types import Json, Request, RunnerResult

# The core is the device's own matter, and another one on another day.
LEFT_OUT = ("core",)
FOLDER = "<folder>"


def ids(request: Request) -> dict[str, str]:
    """Return the names of a request's models by their ids, which may hold addresses."""
    return {entry.id: f"model-{k}" for k, entry in enumerate(request.models)}


def normal(request: Request, digests: Digests) -> dict[str, Json]:
    """Return a request without ids and paths: each file is the digest of what it holds."""
    named = ids(request)
    kept = {name: value for name, value in request.to_json().items() if name not in LEFT_OUT}
    models = []
    for entry in kept.pop("models"):
        found = {k: _plain(v, digests) for k, v in entry.items() if k not in ("id", "outputs")}
        where = {"outputs": FOLDER} if "outputs" in entry else {}
        models.append({"id": named[str(entry["id"])], **found, **where})
    plain = {name: _plain(value, digests) for name, value in kept.items()}
    # As JSON gives it back: tuples are lists there.
    found_: dict[str, Json] = json.loads(json.dumps({**plain, "models": models}))
    return found_


def _plain(value: Json, digests: Digests) -> Json:
    if isinstance(value, Mapping):
        return {str(name): _plain(one, digests) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, digests) for one in value]
    if not isinstance(value, str | Path) or not Path(value).is_absolute():
        return value
    path = Path(value)
    return f"sha256:{digests.of(path)}" if path.exists() else FOLDER


def renamed(result: RunnerResult, names: Mapping[str, str]) -> RunnerResult:
    """Return a result whose models go by other names."""
    return {**result, "models": {names.get(k, k): v for k, v in result["models"].items()}}


def difference(asked: Mapping[str, Json], recorded: Sequence[Mapping[str, Json]]) -> str:
    """Tell why a request is not one of those recorded, in words."""
    alike = [one for one in recorded if one["mode"] == asked["mode"]]
    if not alike:
        modes = sorted({str(one["mode"]) for one in recorded})
        return f"it holds nothing of mode {asked['mode']}, only {', '.join(modes) or 'nothing'}"
    nearest = max(alike, key=lambda one: sum(one.get(k) == v for k, v in asked.items()))
    differ = [k for k in {**asked, **nearest} if asked.get(k) != nearest.get(k)]
    if not differ:
        return "it was asked for more often than when it was recorded"
    said = [_differs(name, asked.get(name), nearest.get(name)) for name in sorted(differ)]
    return "; ".join(said)


def _differs(name: str, asked: Json, recorded: Json) -> str:
    if name == "models":
        sides = [{str(m.get("path", ""))[7:19]: "" for m in one or ()} for one in (asked, recorded)]
        mine, theirs = (", ".join(one) for one in sides)
        return f"another model: sha256 {mine}…, recorded {theirs}…"
    if name in ("inputs", "index"):
        return f"other {name} than those recorded"
    told = "nothing" if recorded is None else json.dumps(recorded)
    return f"{name} is {json.dumps(asked)}, recorded with {told}"
