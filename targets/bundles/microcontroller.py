"""The bundle for microcontrollers: the model as C source, with the resolver of its operators."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit import scratch
from edgekit.converters.micro import c_array, resolver
from edgekit.converters.micro.names import identifier
from edgekit.targets.bundles.archive import COMPILED, Contents
from edgekit.targets.catalog import Target

README = """# {name} {version} for {title}

| file | what |
| --- | --- |
| `{prefix}_model.h`, `{prefix}_model.cc` | {array}, 16-byte aligned and const: the linker puts it into flash |
| `{prefix}_resolver.h` | the operators it needs, and no others, for TensorFlow Lite for Microcontrollers |
| `model.tflite` | the {precision} file that was evaluated; on a PC with `pip install {pip}` |
{compiled}| `golden/` | raw items and the outputs that `model.tflite` gives for them on LiteRT |
| `manifest.json` | inputs, outputs, preprocessing, labels, and what was measured or estimated |

    #include "{prefix}_model.h"
    #include "{prefix}_resolver.h"

    const tflite::Model* model = tflite::GetModel({prefix}_model);
    static tflite::MicroMutableOpResolver<{prefix}_operators> resolver;
    {prefix}_add_operators(resolver);
    tflite::MicroInterpreter interpreter(model, resolver, arena, arena_size);

{golden}
{notes}"""  # noqa: E501

GOLDEN = """\
The golden outputs are those of `model.tflite` on LiteRT, on the machine that made this bundle;
nothing was executed on {title}. `manifest.json` says by how much outputs may differ."""


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`ConversionError` for an operator that TFLM does not have.
    """
    source = contents.compiled or contents.model
    prefix = identifier(contents.name)
    with scratch.held(prefix="edgekit-c-") as folder:
        c_array.write(source, contents.name, folder)
        resolver.write(source, contents.name, folder)
        placed = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    compiled = ""
    if contents.compiled is not None and target.npu is not None:
        compiled = f"| `{COMPILED}` | the same, compiled for {target.npu.accelerator} |\n"
    text = README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        prefix=prefix,
        array=f"`{COMPILED if compiled else 'model.tflite'}` as a C array",
        compiled=compiled,
        precision=contents.precision,
        golden=GOLDEN.format(title=target.title),
        pip=" ".join(f"{r.package}=={r.version}" for r in target.runtimes),
        notes="".join(f"\n- {note}." for note in target.notes) + "\n",
    )
    placed["README.md"] = text.encode()
    return placed
