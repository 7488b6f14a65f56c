"""Pre- and postprocessing in TypeScript: ``model_spec.ts`` beside ``values.ts`` and its like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edgekit.targets.bundles.processing.library import MADE_BY, library
from edgekit.targets.bundles.processing.spec import Spec

CONSTANTS = "model_spec.ts"
PARTS = {
    "values": "values.ts",
    "pictures": "pictures.ts",
    "boxes": "boxes.ts",
    "signals": "signals.ts",
}


def files(spec: Spec, name: str) -> Mapping[str, bytes]:
    """Return the constants of a model and the library's files that it uses, by file name."""
    placed = library("typescript", spec, PARTS)
    lines = [
        f"// {MADE_BY.format(name=json.dumps(name)[1:-1])}",
        'import type { InputSpec, OutputSpec } from "./values.js";',
    ]
    if spec.boxes is not None:
        lines.append('import type { BoxesSpec } from "./boxes.js";')
    if spec.signal is not None:
        lines.append('import type { SignalSpec } from "./signals.js";')
    facts = _camel(asdict(spec))
    lines += [
        "",
        _constant("inputs", "InputSpec[]", facts["inputs"]),
        _constant("outputs", "OutputSpec[]", facts["outputs"]),
        _constant("labels", "string[]", facts["labels"]),
        "// The output that scores the classes.",
        _constant("answers", "string | null", facts["answers"]),
    ]
    if spec.boxes is not None:
        facts["boxes"].pop("format")
        lines.append(_constant("boxes", "BoxesSpec", facts["boxes"]))
    if spec.signal is not None:
        lines.append(_constant("signal", "SignalSpec", facts["signal"]))
    placed[CONSTANTS] = ("\n".join(lines) + "\n").encode()
    return placed


def _constant(name: str, kind: str, value: Any) -> str:
    return f"export const {name}: {kind} = {json.dumps(value, indent=2)};"


def _camel(value: Any) -> Any:
    """Return facts with their names in camel case: ``zero_point`` is ``zeroPoint``."""
    if isinstance(value, dict):
        return {_name(key): _camel(held) for key, held in value.items()}
    return [_camel(held) for held in value] if isinstance(value, tuple) else value


def _name(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.title() for word in rest)
