"""The bundle for the web: a static page over LiteRT.js, which npm fetches, and a server for it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from edgekit.converters import flatbuffer
from edgekit.errors import BundleDoesNotSuit
from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.contents import Contents
from edgekit.targets.bundles.processing.library import LIBRARIES
from edgekit.targets.bundles.processing.spec import Spec, spec_of
from edgekit.targets.bundles.processing.typescript import (
    PARTS,
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
# What LiteRT.js feeds and gives. Source: index.d.ts of @litertjs/core 2.5.3, and int8 was tried.
TYPES = ("float32", "int32")
SOURCES = ("app.ts", "litert.ts", "model.ts", "npy.ts", "selftest.ts")
# The page fits pictures into the model's size, whatever the model.
PAGE_PARTS = ("pictures",)

README = """# {name} {version} for {title}

A static page over LiteRT.js {litert}. LiteRT.js is not in this bundle: npm fetches it.

    npm install
    npm start                        # http://localhost:8080/

The page runs its self-test over the golden pairs, times the model, and then takes {files}.
Nothing is sent anywhere: the model runs in the page.

| file | what |
| --- | --- |
| `index.html` | the page |
| `src/app.ts`, `src/litert.ts` | what the page does; the model in LiteRT.js |
| `src/model.ts`, `src/selftest.ts` | the model with pre- and postprocessing; the self-test |
| `src/model_spec.ts`, `src/golden_pairs.ts` | this model's constants |
| `src/*.js` | the same, compiled: after a change, `npm run build` |
| `model.tflite`, `golden/` | the {precision} model; raw items and the outputs that they must give |
| `serve.mjs` | a small server for this folder, for this machine only |
| `manifest.json` | inputs, outputs, preprocessing, labels, and what was measured |

Whatever serves the page in production has to send two headers, or LiteRT.js runs without threads:

    Cross-Origin-Opener-Policy: same-origin
    Cross-Origin-Embedder-Policy: require-corp

It also has to serve `node_modules/@litertjs/`. A camera needs https, or localhost. A small model may be
faster without threads: compare the page's latency with that of `?threads=1`.
{notes}"""  # noqa: E501


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`BundleDoesNotSuit` for a model that LiteRT.js, or the page, does not feed.
    """
    _check(contents)
    spec = spec_of(contents)
    code: dict[str, bytes] = {}
    placed = [APP / name for name in SOURCES]
    placed += [LIBRARIES / "typescript" / PARTS[part] for part in PAGE_PARTS]
    for path in placed:
        code[path.name] = path.read_bytes()
        code[script_of(path.name)] = path.with_suffix(".js").read_bytes()
    code |= {**sources(spec, contents.name), **scripts(spec, contents.name)}
    release = litert(target)
    constants = _golden(contents, release)
    code["golden_pairs.js"] = constants_file(contents.name, constants)
    types = ('import type { GoldenOutput } from "./selftest.js";',)
    code["golden_pairs.ts"] = constants_file(contents.name, constants, types)
    own = {"@TITLE@": escape(contents.name), "@LITERT@": release, "@ACCEPT@": _accepted(spec)}
    readme = README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        litert=release,
        precision=contents.precision,
        files="a picture, the camera, `.npy` or `.json`" if _picture(spec) else "`.npy` or `.json`",
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
    edges = (*file.inputs_of(contents.signature).values(), *file.inputs, *file.outputs)
    wrong = [one for one in edges if one.dtype.lower() not in TYPES]
    free = [one for one in edges if -1 in (*one.shape, *one.signature_shape)]
    reason, hint = "", "take a bundle of another kind, or a float32 model without it"
    if wrong:
        dtype = wrong[0].dtype.lower()
        reason = f"LiteRT.js takes float32 and int32, and {wrong[0].name!r} is {dtype}"
        hint = "convert with --precision dynamic or int8-float-io, which keep float32 at both ends"
    elif free:
        reason = f"LiteRT.js takes fixed sizes only, and {free[0].name!r} has a free one"
        hint = "convert for the target: edgekit convert --target web-wasm fixes the sizes"
    elif contents.states or contents.golden.streams:
        reason = "the model keeps a state, which the page does not carry on"
    elif contents.signature:
        reason = f"it is signature {contents.signature!r} of several: the page does not choose"
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
    ]


def _picture(spec: Spec) -> bool:
    return len(spec.inputs) == 1 and spec.inputs[0].picture is not None


def _accepted(spec: Spec) -> str:
    return "image/*,.npy,.json" if _picture(spec) else ".npy,.json"


def _filled(name: str, values: Mapping[str, str]) -> bytes:
    text = (APP / name).read_text(encoding="utf-8")
    for place, value in values.items():
        text = text.replace(place, value)
    return text.encode()
