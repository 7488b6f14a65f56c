"""The bundle for the web: a static page over LiteRT.js, which npm fetches, and a server for it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from edgekit.converters import flatbuffer
from edgekit.errors import BundleDoesNotSuit
from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles import recorder_code
from edgekit.targets.bundles.contents import Contents
from edgekit.targets.bundles.processing.spec import Spec, spec_of
from edgekit.targets.bundles.processing.typescript import (
    Constant,
    constants_file,
    script_of,
    scripts,
)
from edgekit.targets.bundles.processing.typescript import files as sources
from edgekit.targets.catalog import Target

APP = FOLDER / "web"
PACKAGE = "@litertjs/core"
# The release that the app was tried with, for a target that names none.
LITERT = "2.5.3"
# What LiteRT.js feeds and gives. Source: DATATYPES of @litertjs/core 2.5.3, and all were tried:
# it opens no file of which a signature has an int8 or int16 input or output.
TYPES = ("float32", "int32", "uint8")
SOURCES = (
    "app.ts",
    "drawing.ts",
    "items.ts",
    "litert.ts",
    "model.ts",
    "npy.ts",
    "raw_items.ts",
    "recorder.ts",
    "selftest.ts",
)

README = """# {name} {version} for {title}

A static page over LiteRT.js {litert}. LiteRT.js is not in this bundle: npm fetches it.

    npm install
    npm start                        # http://localhost:8080/

The page runs its self-test over the golden pairs, times the model, and then takes {takes}.
The model runs in the page, and nothing is sent anywhere unless you add `?records=URL`, below.

| file | what |
| --- | --- |
| `index.html` | the page |
| `src/app.ts`, `src/items.ts`, `src/drawing.ts` | what the page does; items from files; boxes on pictures |
| `src/litert.ts` | the model in LiteRT.js |
| `src/model.ts`, `src/selftest.ts` | the model with pre- and postprocessing; the self-test |
| `src/recorder.ts` | counts what the model meets, for `edgekit monitor`; off until it is ticked |
| `src/raw_items.ts` | keeps a sample of raw items, where a second box is ticked |
| `src/model_spec.ts`, `src/golden_pairs.ts`, `src/monitoring_spec.ts` | this model's constants |
| `src/*.js` | the same, compiled: after a change, `npm run build` |
| `model.tflite`, `golden/` | the {precision} model; raw items and the outputs that they must give |
| `serve.mjs` | a small server for this folder, for this machine only |
| `manifest.json` | inputs, outputs, preprocessing, labels, and what was measured |

Whatever serves the page in production has to send two headers, or LiteRT.js runs without threads:

    Cross-Origin-Opener-Policy: same-origin
    Cross-Origin-Embedder-Policy: require-corp

It also has to serve `node_modules/@litertjs/`. A camera needs https, or localhost. A small model may be
faster without threads: compare the page's latency with that of `?threads=1`.

## To watch over it

Tick "Count", and the page counts what the model is given and what it answers, by the bins of
`monitoring.json`: statistics, one JSON line for a thousand items or an hour, and never an item.
"Download records" gives them as a file, which `edgekit monitor BUNDLE records.jsonl` reads; with
`?records=URL` each line is also sent there by POST. Of your own page, `new Model(network, new
Recorder(monitoring, device, send))` does the same.

Only where "Keep raw items" is ticked too (`recorder.raw = new RawItems()`), the page keeps a sample of at most 100
items and 16 MiB: inputs as they were given, and what was answered. **They may hold personal data.** They are never
sent: "Download raw items" gives them as `items.jsonl`, and they are gone with the page.
{notes}"""  # noqa: E501


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`BundleDoesNotSuit` for a model that LiteRT.js, or the page, does not feed.
    """
    _check(contents)
    spec = spec_of(contents)
    code: dict[str, bytes] = {}
    for name in SOURCES:
        code[name] = (APP / name).read_bytes()
        code[script_of(name)] = (APP / script_of(name)).read_bytes()
    code |= {**sources(spec, contents.name), **scripts(spec, contents.name)}
    release = litert(target)
    constants = _golden(contents, release)
    code["golden_pairs.js"] = constants_file(contents.name, constants)
    types = ('import type { GoldenOutput } from "./selftest.js";',)
    code["golden_pairs.ts"] = constants_file(contents.name, constants, types)
    counted = (recorder_code.typescript(contents),)
    code["monitoring_spec.js"] = constants_file(contents.name, counted)
    types = ('import type { MonitoringSpec } from "./recorder.js";',)
    code["monitoring_spec.ts"] = constants_file(contents.name, counted, types)
    takes, accepted = _files(spec)
    own = {"@TITLE@": escape(contents.name), "@LITERT@": release}
    own |= {"@FILE@": f"{takes[0].upper()}{takes[1:]}:", "@ACCEPT@": accepted}
    readme = README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        litert=release,
        precision=contents.precision,
        takes=_taken(spec, takes),
        notes="".join(f"\n- {note}." for note in target.notes) + "\n",
    )
    return {
        **{f"src/{name}": content for name, content in code.items()},
        "index.html": _filled("index.html", own),
        "package.json": _filled("package.json", own),
        "tsconfig.json": (APP / "tsconfig.json").read_bytes(),
        "serve.mjs": (APP / "serve.mjs").read_bytes(),
        "README.md": readme.encode(),
    }


def litert(target: Target) -> str:
    """Return the release of LiteRT.js that a target names."""
    named = (runtime.version for runtime in target.runtimes if runtime.package == PACKAGE)
    return next(named, LITERT)


def _check(contents: Contents) -> None:
    file = flatbuffer.read(contents.model)
    edges = [*file.inputs, *file.outputs]
    for signature in file.signatures:
        edges += [*file.inputs_of(signature.key).values(), *file.outputs_of(signature.key).values()]
    wrong = [one for one in edges if one.dtype.lower() not in TYPES]
    free = [one for one in edges if -1 in (*one.shape, *one.signature_shape)]
    reason, hint = "", ""
    if wrong:
        dtype = wrong[0].dtype.lower()
        taken = f"{', '.join(TYPES[:-1])} and {TYPES[-1]}"
        reason = f"LiteRT.js takes {taken} at inputs and outputs, and {wrong[0].name!r} is {dtype}"
        hint = "convert with --precision int8-float-io (float32 at both ends) or uint8-io"
    elif free:
        reason = f"LiteRT.js takes fixed sizes only, and {free[0].name!r} has a free one"
        hint = "convert for the target: edgekit convert --target web-wasm fixes the sizes"
    if reason:
        message = f"{contents.name} has no bundle for the web: {reason}"
        raise BundleDoesNotSuit("EK-BUNDLE-026", message, hint)


def _golden(contents: Contents, release: str) -> list[Constant]:
    golden = contents.golden
    inputs = {name: f"input_{k}.npy" for k, name in enumerate(golden.inputs)}
    outputs = [
        {"name": name, "file": f"output_{k}.npy", "tolerance": float(golden.tolerance[name])}
        for k, name in enumerate(golden.outputs)
    ]
    answers = list(golden.answers.labels) if golden.answers else []
    return [
        Constant("LITERT", "string", release),
        Constant("inputs", "Record<string, string>", inputs, "Files of golden/."),
        Constant("outputs", "GoldenOutput[]", outputs),
        Constant("answers", "string[]", answers, "What the golden items' classes are called."),
        Constant("streams", "number[]", list(golden.streams), "The items at which streams begin."),
        Constant("signature", "string | null", contents.signature, "Which one of several runs."),
    ]


def _files(spec: Spec) -> tuple[str, str]:
    """Return what the page's control for files takes, in words and as HTML says it."""
    if len(spec.inputs) > 1:
        return "whole items as .json", ".json"
    if spec.inputs[0].picture is not None:
        return "a picture, .npy or .json", "image/*,.npy,.json"
    return (
        ".npy of samples or features, or .json" if spec.signal else ".npy or .json"
    ), ".npy,.json"


def _taken(spec: Spec, files: str) -> str:
    """Return what the page takes in all, for the README."""
    if len(spec.inputs) > 1:
        return f"numbers, pictures or files for each input, or {files}"
    return f"{files}, or the camera's" if spec.inputs[0].picture is not None else files


def _filled(name: str, values: Mapping[str, str]) -> bytes:
    text = (APP / name).read_text(encoding="utf-8")
    for place, value in values.items():
        text = text.replace(place, value)
    return text.encode()
