"""The bundle's ``README.md``: from the archive to a self-test, in four build systems."""

from __future__ import annotations

from edgekit.converters.micro.names import identifier
from edgekit.targets.bundles.archive import COMPILED, Contents
from edgekit.targets.bundles.microcontroller.arena import size_of
from edgekit.targets.catalog import Target
from edgekit.targets.devices.arena import Arena

README = """\
# {name} {version} for {title}

This folder is at once an Arduino library, an ESP-IDF component, a Zephyr module and a CMake project. Each
builds the files in `src/` with its own TensorFlow Lite for Microcontrollers (TFLM).

## Does it work on my board?

The self-test prepares {items} golden items on the board, runs the model on them, and compares each step with
what the host had. Its last line begins with `PASSED` or `FAILED`.

- **Arduino**: zip this folder, and add it by *Sketch > Include Library > Add .ZIP Library*. Install TFLM too:
  `Arduino_TensorFlowLite` (github.com/tensorflow/tflite-micro-arduino-examples), or the one that your board's
  maker offers. Then open *File > Examples > edgekit_{prefix} > {prefix}_selftest*, and the serial monitor at
  115200 baud.
- **ESP-IDF** (5.0 or later; it fetches `espressif/esp-tflite-micro` itself):
  `cd selftest/esp_idf && idf.py set-target esp32s3 && idf.py flash monitor`
- **Zephyr** (with `west config manifest.project-filter -- +tflite-micro && west update`):
  `west build -b BOARD selftest/zephyr && west flash`
- **CMake**: `cmake -B build -DTFLM_INCLUDE_DIRS="TFLM;FLATBUFFERS/include" -DTFLM_LIBRARIES=LIBRARY
  -DCMAKE_TOOLCHAIN_FILE=YOURS && cmake --build build`, where TFLM, FLATBUFFERS and LIBRARY
  (`libtensorflow-microlite.a`) are those of your build of TFLM. Flash `build/{prefix}_selftest`.

{npu}
## In an application

```cpp
#include "{prefix}_tflm.h"

if ({prefix}_begin() != nullptr) return;  // the text says what is wrong
{example}
```

Every function returns `nullptr`, or says what went wrong. `src/{prefix}_spec.h` describes the inputs and
outputs for the functions of `src/edgekit_processing.h`{labels}.

Arduino: copy this folder into `libraries/`. ESP-IDF: into `components/`. Zephyr: add its path to
`ZEPHYR_EXTRA_MODULES`, and `CONFIG_MODEL_{macro}=y` to `prj.conf`. CMake: `add_subdirectory`, and link
`{prefix}_model`.

## Memory

- Flash: {array:,} bytes of model, TFLM with the kernels of the operators in `src/{prefix}_resolver.h`, and this
  code. The golden items are linked into the self-test only.
- RAM: {arena}{states}

## Files

| file | what |
| --- | --- |
| `src/{prefix}_model.h`, `.cpp` | `{held}` as an array, 16-byte aligned and const: the linker puts it into flash |
| `src/{prefix}_resolver.h` | the operators it needs, and no others |
| `src/{prefix}_settings.h` | `kTensorArenaSize`, and how it is known |
| `src/{prefix}_inference.h`, `.cpp` | the model on TFLM |
| `src/{prefix}_spec.h`, `src/edgekit_*` | pre- and postprocessing in C99 |
| `src/{prefix}_golden.h`, `.cpp`, `src/{prefix}_selftest.h`, `.cpp` | the self-test |
| `model.tflite` | the {precision} file that was evaluated; on a PC with `pip install {pip}` |
{compiled}| `golden/`, `manifest.json`, `labels.txt` | all golden items, what was measured or estimated, and the classes |

The golden outputs are those of `model.tflite` on LiteRT, on the machine that made this bundle; nothing was
executed on {title}. `manifest.json` says by how much outputs may differ.

Two models in one firmware: leave out `src/edgekit_*.c` of one of them.
{notes}"""  # noqa: E501

NPU = """\
The model is compiled for {accelerator}: build TFLM with its Ethos-U kernel, and let the board
initialize the Ethos-U core driver (`ethosu_init`) before the model begins.
"""
ARENA = "a tensor arena of {size:,} bytes, the interpreter, and what you hold of an item."
NO_ARENA = """\
a tensor arena whose size is unavailable here: `src/{prefix}_settings.h` says why. Define
  `{macro}_ARENA_BYTES`; without it the self-test fails with that message."""
STATES = " The model's states are kept outside it."


def readme(target: Target, contents: Contents, sizes: Arena, items: int, array: int) -> str:
    """Return the README of a bundle whose source has so many golden items, and bytes of model."""
    prefix = identifier(contents.name)
    npu = target.npu if contents.compiled is not None else None
    arena = (ARENA if size_of(sizes) else NO_ARENA).format(
        size=size_of(sizes), prefix=prefix, macro=prefix.upper()
    )
    return README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        prefix=prefix,
        macro=prefix.upper(),
        items=items,
        npu=NPU.format(accelerator=npu.accelerator) if npu else "",
        example="\n".join(_example(contents, prefix)),
        labels=f", and `{prefix}_labels`" if contents.labels else "",
        array=array,
        arena=arena,
        states=STATES if contents.states else "",
        held=COMPILED if npu else "model.tflite",
        precision=contents.precision,
        pip=" ".join(f"{r.package}=={r.version}" for r in target.runtimes),
        compiled=f"| `{COMPILED}` | the same, compiled for {npu.accelerator} |\n" if npu else "",
        notes="".join(f"\n- {note}." for note in target.notes) + "\n",
    )


def _example(contents: Contents, prefix: str) -> list[str]:
    """Return the calls of one inference."""
    lines = []
    for at, spec in enumerate(contents.inputs):
        raw = contents.golden.inputs[spec.name]
        kind, put = ("uint8_t", "put_bytes") if raw.dtype == "uint8" else ("float", "put")
        size = f"{prefix.upper()}_INPUT_{at}_SIZE"
        lines += [
            f"static {kind} input_{at}[{size}];  // your raw values",
            f"{prefix}_{put}({at}, input_{at});",
        ]
    lines.append(f"{prefix}_invoke();")
    for at in range(len(contents.outputs)):
        lines += [
            f"static float output_{at}[{prefix.upper()}_OUTPUT_{at}_SIZE];",
            f"{prefix}_get({at}, output_{at});",
        ]
    if contents.golden.answers is not None:
        at = [spec.name for spec in contents.outputs].index(contents.golden.answers.output)
        lines += [
            "int best;",
            f"ek_top(output_{at}, {prefix.upper()}_OUTPUT_{at}_SIZE, 1, &best);"
            + (f"  // {prefix}_labels[best]" if contents.labels else ""),
        ]
    return lines
