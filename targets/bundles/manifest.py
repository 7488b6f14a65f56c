"""``manifest.json`` read back: what ``verify`` follows in it is checked before it is followed."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgekit import strict_json
from edgekit.errors import BundleError
from edgekit.targets.bundles.contents import MANIFEST, SCHEMA_VERSION
from edgekit.types import Preprocess, Signal

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Numbers = _Finite | Annotated[list[_Finite], Field(min_length=1)]
_Pixels = Annotated[int, Field(ge=1)]
CODE = "EK-BUNDLE-004"
SHOWN = 5
SCHEMA = Path(__file__).resolve().with_name("manifest.schema.json")


class _Table(BaseModel):
    """A table that later versions may add keys to."""

    model_config = ConfigDict(strict=True, extra="allow")


class _File(_Table):
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _State(_Table):
    output: str


class _Model(_Table):
    file: str
    signature: str | None = None
    states: dict[str, _State] = Field(default_factory=dict)


class _Output(_Table):
    file: str
    tolerance: float = Field(ge=0, allow_inf_nan=False)


class _Answers(_Table):
    output: str
    labels: list[str]


class _Golden(_Table):
    inputs: dict[str, str] = Field(min_length=1)
    outputs: dict[str, _Output] = Field(min_length=1)
    answers: _Answers | None = None
    streams: list[int] = Field(default_factory=list)


class _Signal(_Table):
    """How samples become features."""

    model_config = ConfigDict(strict=True, extra="forbid")

    rate: int
    window: int
    stride: int
    fft: int
    mels: int
    low: float
    high: float
    coefficients: int
    power: int
    floor: float

    @property
    def spec(self) -> Signal:
        return Signal(**self.model_dump())


class _Preprocess(_Table):
    """What is done to raw items. What is not known here would be left out without a word."""

    model_config = ConfigDict(strict=True, extra="forbid")

    scale: _Numbers = 1.0
    offset: _Numbers = 0.0
    resize: Annotated[list[_Pixels], Field(min_length=2, max_length=2)] | None = None
    crop: Literal["center"] | None = None
    color: Literal["rgb", "bgr", "grayscale"] | None = None
    method: Literal["nearest", "area", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    layout: Literal["nhwc", "nchw"] | None = None
    model_layout: Literal["nhwc", "nchw"] = "nhwc"
    signal: _Signal | None = None

    @model_validator(mode="after")
    def _signal_can_be(self) -> _Preprocess:
        if self.signal is not None:
            _ = self.signal.spec
        return self

    @property
    def spec(self) -> Preprocess:
        """The spec as the rest of edgekit has it."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.model_dump().items()
        }
        given["signal"] = self.signal.spec if self.signal else None
        return Preprocess(**given)


class _Runtime(_Table):
    name: str


class _Manifest(_Table):
    schema_version: Literal[1]
    name: str
    version: str
    target: str
    model: _Model
    preprocess: _Preprocess
    labels: list[str] = Field(default_factory=list)
    golden: _Golden
    runtimes: list[_Runtime] = Field(min_length=1)
    files: dict[str, _File]


def read_manifest(path: Path, content: bytes) -> Mapping[str, Any]:
    """Return the manifest of the bundle at ``path``. Raises :class:`BundleError`, which says
    where.
    """
    try:
        document = strict_json.loads(content)
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if isinstance(document, dict) and document.get("schema_version", 1) != SCHEMA_VERSION:
        version = str(document["schema_version"])[:20]
        raise _damaged(path, f"schema {version} is not known to this edgekit")
    try:
        _Manifest.model_validate(document)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(str(part)[:60] for part in one['loc']) or MANIFEST}: {one['msg']}"
            for one in error.errors(include_url=False, include_context=False)
        ]
        raise _damaged(path, "\n".join(wrong[:SHOWN])) from error
    problems = [
        f"{'.'.join(str(part)[:60] for part in one.absolute_path)}: {one.message[:200]}"
        for one in _validator().iter_errors(document)
    ]
    if problems:
        raise _damaged(path, "\n".join(problems[:SHOWN]))
    return dict(document)


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def preprocess_of(manifest: Mapping[str, Any]) -> Preprocess:
    """Tell how a manifest that was read says that items are prepared."""
    return _Preprocess.model_validate(manifest["preprocess"]).spec


def states_of(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the output that each state is fed with, by input."""
    return {name: str(one["output"]) for name, one in manifest["model"].get("states", {}).items()}


def carrying(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a request to test the golden items, where the model has states."""
    streams = tuple(manifest["golden"].get("streams", ()))
    return {"states": states_of(manifest) or None, "streams": streams or None}


def _damaged(path: Path, why: str) -> BundleError:
    first, _, rest = why.partition("\n")
    return BundleError(CODE, f"{path}: {MANIFEST} is damaged: {first[:300]}", rest)
