"""The bundle for Linux in C: a CMake project over LiteRT's C library, which its script fetches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.converters.micro.names import identifier
from edgekit.errors import BundleDoesNotSuit
from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.bundles.linux_python import package_version
from edgekit.targets.bundles.processing.c99 import files as processing_files
from edgekit.targets.bundles.processing.c99 import text
from edgekit.targets.bundles.processing.spec import Spec, spec_of
from edgekit.targets.catalog import Target
from edgekit.targets.runners import RUNNER_FILES

APP = FOLDER / "linux_c"
# The files of edgekit's own native runner that the app is built on.
SHARED = ("litert_api.c", "litert_api.h", "network.c", "network.h", "npy.c", "npy.h")
LITERT = "ai-edge-litert"

README = """# {name} {version} for {title}, in C

A CMake project over LiteRT's C library {litert}. The library is not in this bundle: a script takes it
from the official wheel.

    sh get_runtime.sh                # lib/libLiteRt.so; needs python3 with pip
    cmake -B build && cmake --build build
    build/model_app selftest
    build/model_app bench
    build/model_app classify {example}

For a device, cross-compile (`BUNDLE` is this folder's path there):

    sh get_runtime.sh aarch64
    cmake -B build -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DBUNDLE=/opt/{prefix}
    cmake --build build
    scp -r model.tflite golden lib build/model_app device:/opt/{prefix}/

`cmake/armv7.cmake` compiles for 32-bit Arm; LiteRT has no wheel for it, so that `libLiteRt.so` has to be
built from LiteRT's source there.

| file | what |
| --- | --- |
| `src/main.c` | the app: self-test, classification of raw items in an `.npy` file, timing |
| `src/network.c`, `src/litert_api.c`, `src/npy.c` | the model in LiteRT; its C library, declared by hand; arrays |
{sounds}| `src/edgekit_*.c`, `src/{prefix}_spec.h` | pre- and postprocessing, and this model's constants for it |
| `model.tflite`, `golden/` | the {precision} model; raw items and the outputs that they must give |
| `manifest.json` | inputs, outputs, preprocessing, labels, and what was measured |

The functions of LiteRT's C library are looked up at run time. They are those of release {litert};
another release may refuse to load.
{notes}"""  # noqa: E501

CONFIG = """\
/* The model, its golden pairs and its labels. Made by edgekit: written anew with each bundle. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "{prefix}_spec.h"

#define APP_NAME {name}
#define APP_VERSION {version}
#define APP_LITERT {litert}
#define APP_ITEMS {items}
#define APP_INPUTS {inputs}
#define APP_OUTPUTS {outputs}
/* The output that scores the labels, or the first. */
#define APP_SCORES {scores}
#define APP_LABELS {labels}
#define APP_ANSWERS {answers}
/* Whether the model's features are of samples. */
#define APP_SIGNAL {signal}

static const struct {{
  const ek_input *input;
  const char *golden;
}} app_inputs[] = {{
{input_rows}}};

static const struct {{
  const ek_output *output;
  const char *golden;
  double tolerance;
}} app_outputs[] = {{
{output_rows}}};
{tables}
#endif
"""


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`BundleDoesNotSuit` for a model that keeps a state, has several signatures, or
    takes texts: the app feeds none of them.
    """
    _check(contents)
    spec = spec_of(contents)
    prefix = identifier(contents.name)
    native = RUNNER_FILES["litert"].parent / "native"
    sources = {name: (native / name).read_bytes() for name in SHARED}
    sources |= processing_files(spec, contents.name)
    sources["main.c"] = (APP / "main.c").read_bytes()
    if spec.signal is not None:
        sources |= {name: (APP / name).read_bytes() for name in ("wav.c", "wav.h")}
    sources["app_config.h"] = _config(target, contents, spec, prefix).encode()
    script = (APP / "get_runtime.sh").read_text(encoding="utf-8")
    placed = {f"src/{name}": content for name, content in sources.items()}
    placed["get_runtime.sh"] = script.replace("@LITERT@", litert(target)).encode()
    placed["CMakeLists.txt"] = (APP / "CMakeLists.txt").read_bytes()
    for toolchain in sorted(Path(APP / "cmake").iterdir()):
        placed[f"cmake/{toolchain.name}"] = toolchain.read_bytes()
    readme = README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        litert=litert(target),
        prefix=prefix,
        precision=contents.precision,
        sounds="" if spec.signal is None else "| `src/wav.c` | sounds of 16-bit PCM |\n",
        example="items.npy" if spec.signal is None else "clip.wav    # 16-bit PCM, mono or stereo",
        notes="".join(f"\n- {note}." for note in target.notes) + "\n",
    )
    return placed | {"README.md": readme.encode()}


def litert(target: Target) -> str:
    """Return the release of LiteRT that a target names.

    Raises :class:`BundleDoesNotSuit` where it names none: no other runtime has a C library in its
    wheel.
    """
    for runtime in target.runtimes:
        if runtime.package == LITERT:
            return package_version(runtime.version)
    message = f"{target.id} has no bundle in C: of its runtimes none has a C library in its wheel"
    hint = f"name {LITERT} in the target's TOML ([[runtimes]]), or take a linux-python bundle"
    raise BundleDoesNotSuit("EK-BUNDLE-021", message, hint)


def _check(contents: Contents) -> None:
    stateful = contents.states or contents.golden.streams
    texts = [one.name for one in contents.inputs if one.dtype in ("string", "str")]
    reason = ""
    if stateful:
        reason = "the model keeps a state, which LiteRT's compiled model does not take"
    elif contents.signature:
        reason = f"it is signature {contents.signature!r} of several, which the app does not choose"
    elif texts:
        reason = f"input {texts[0]!r} takes texts"
    if reason:
        message = f"{contents.name} has no bundle in C for Linux: {reason}"
        hint = "take the linux-python bundle: edgekit bundle --kind linux-python"
        raise BundleDoesNotSuit("EK-BUNDLE-022", message, hint)


def _config(target: Target, contents: Contents, spec: Spec, prefix: str) -> str:
    golden = contents.golden
    inputs = list(golden.inputs)
    outputs = list(golden.outputs)
    answers = golden.answers
    tables = f"#define app_labels {prefix}_labels\n" if spec.labels else ""
    if spec.signal is not None:
        upper = prefix.upper()
        tables += f"#define app_signal {prefix}_signal\n"
        tables += "".join(
            f"#define APP_{one} {upper}_{one}\n" for one in ("FEATURES", "TABLES", "WORK")
        )
    if answers:
        rows = "".join(f"  {text(label)},\n" for label in answers.labels)
        tables += f"\nstatic const char *const app_answers[] = {{\n{rows}}};\n"
    return CONFIG.format(
        prefix=prefix,
        name=text(contents.name),
        version=text(contents.version),
        litert=text(litert(target)),
        items=len(next(iter(golden.inputs.values()))),
        inputs=len(spec.inputs),
        outputs=len(spec.outputs),
        scores=next(
            (k for k, o in enumerate(spec.outputs) if answers and o.name == answers.output), 0
        ),
        labels=len(spec.labels),
        answers=int(answers is not None),
        signal=int(spec.signal is not None),
        input_rows="".join(
            f'  {{&{prefix}_input_{k}, "golden/input_{inputs.index(one.name)}.npy"}},\n'
            for k, one in enumerate(spec.inputs)
        ),
        output_rows="".join(
            f'  {{&{prefix}_output_{k}, "golden/output_{outputs.index(tensor.name)}.npy",'
            f" {golden.tolerance[tensor.name]!r}}},\n"
            for k, tensor in enumerate(spec.outputs)
        ),
        tables=tables,
    )
