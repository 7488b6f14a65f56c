"""Pre- and postprocessing in TypeScript: ``model_spec.ts`` beside ``values.ts`` and its like."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.targets.bundles.processing.library import LIBRARIES, MADE_BY
from edgekit.targets.bundles.processing.spec import Spec

CONSTANTS = "model_spec.ts"
PARTS = {
    "values": "values.ts",
    "pictures": "pictures.ts",
    "boxes": "boxes.ts",
    "signals": "signals.ts",
}


@dataclass(frozen=True)
class Constant:
    """An exported constant: its type in TypeScript, its value, and what is said of it."""

    name: str
    kind: str
    value: Any
    comment: str = ""


def files(spec: Spec, name: str) -> Mapping[str, bytes]:
    """Return the constants of a model and the whole library, which one page serves every model."""
    imports = (
        'import type { InputSpec, OutputSpec, StateSpec } from "./values.js";',
        'import type { BoxesSpec } from "./boxes.js";',
        'import type { SignalSpec } from "./signals.js";',
    )
    return _library(PARTS) | {CONSTANTS: constants_file(name, _constants(spec), imports)}


def scripts(spec: Spec, name: str) -> Mapping[str, bytes]:
    """Return the same files as JavaScript, as a browser runs them."""
    compiled = {part: script_of(file) for part, file in PARTS.items()}
    return _library(compiled) | {script_of(CONSTANTS): constants_file(name, _constants(spec))}


def _library(names: Mapping[str, str]) -> dict[str, bytes]:
    folder = LIBRARIES / "typescript"
    return {name: (folder / name).read_bytes() for name in names.values()}


def script_of(file: str) -> str:
    """Return what the JavaScript of a TypeScript file is called."""
    return file.removesuffix("ts") + "js"


def constants_file(
    name: str, constants: Iterable[Constant], imports: Iterable[str] | None = None
) -> bytes:
    """Return a file of constants: TypeScript where types are imported, otherwise JavaScript."""
    lines = [f"// {MADE_BY.format(name=json.dumps(name)[1:-1])}", *(imports or ()), ""]
    for constant in constants:
        kind = "" if imports is None else f": {constant.kind}"
        lines += [f"// {constant.comment}"] if constant.comment else []
        lines.append(
            f"export const {constant.name}{kind} = {json.dumps(constant.value, indent=2)};"
        )
    return ("\n".join(lines) + "\n").encode()


def _constants(spec: Spec) -> list[Constant]:
    facts = _camel(asdict(spec))
    if spec.boxes is not None:
        facts["boxes"].pop("format")
    return [
        Constant("inputs", "InputSpec[]", facts["inputs"]),
        Constant("outputs", "OutputSpec[]", facts["outputs"]),
        Constant("labels", "string[]", facts["labels"]),
        Constant("answers", "string | null", facts["answers"], "The output that scores classes."),
        Constant("states", "StateSpec[]", facts["states"], "What is carried on."),
        Constant("boxes", "BoxesSpec | null", facts["boxes"], "How a detector's outputs are read."),
        Constant("signal", "SignalSpec | null", facts["signal"], "What features are made with."),
    ]


def _camel(value: Any) -> Any:
    """Return facts with their names in camel case: ``zero_point`` is ``zeroPoint``."""
    if isinstance(value, dict):
        return {_name(key): _camel(held) for key, held in value.items()}
    return [_camel(held) for held in value] if isinstance(value, tuple) else value


def _name(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.title() for word in rest)
