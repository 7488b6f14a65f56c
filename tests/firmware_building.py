"""Bundles for microcontrollers, compiled: a small model, its recorded answers, and toolchains."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_files import build, int8_dense, leaking

from edgekit.targets import catalog
from edgekit.targets.bundles import Answers, Contents, Golden, microcontroller
from edgekit.targets.bundles.microcontroller.tensors import places_of
from edgekit.targets.runners import FOLDER as RUNNERS
from edgekit.targets.runners.python_runner import decode, encode
from edgekit.types import CarriedState, Preprocess, TensorSpec

BOARD = Path(__file__).resolve().parent / "targets" / "cortex_m"
STUBS = BOARD.with_name("tflm_stubs")
STRICT = ("-Wall", "-Wextra", "-Werror", "-Os", "-ffunction-sections", "-fdata-sections")
CPP = ("-std=c++17", "-fno-rtti", "-fno-exceptions", "-DTF_LITE_STATIC_MEMORY")
CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
# Without Helium: binutils 2.40 takes a conditional vcvt ("vcvtne") for vcvtn, and refuses it.
CORTEX_M55 = ("-mcpu=cortex-m55+nomve", "-mthumb", "-mfloat-abi=hard")


# Below a checkout of TFLM: the headers that its Makefile downloads, and the library it builds.
TFLM_DOWNLOADS = "tensorflow/lite/micro/tools/make/downloads"
TFLM_HEADERS = (".", f"{TFLM_DOWNLOADS}/flatbuffers/include", f"{TFLM_DOWNLOADS}/gemmlowp")
TFLM_LIBRARY = "gen/cortex_m_generic_cortex-m4*/lib/libtensorflow-microlite.a"


@dataclass(frozen=True)
class Tflm:
    """A build of TFLM for Cortex-M4: the folders of its headers, and its library."""

    headers: tuple[Path, ...]
    library: Path


def tflm_build(checkout: Path) -> Tflm:
    """The build in a checkout of TFLM. Raises :class:`pytest.UsageError` where there is none."""
    libraries = sorted(checkout.glob(TFLM_LIBRARY))
    headers = tuple(checkout / folder for folder in TFLM_HEADERS)
    missing = [str(folder) for folder in headers if not folder.is_dir()]
    missing += [] if libraries else [str(checkout / TFLM_LIBRARY)]
    if missing:
        make = "make -f tensorflow/lite/micro/tools/make/Makefile microlite"
        how = f"{make} TARGET=cortex_m_generic TARGET_ARCH=cortex-m4+fp"
        raise pytest.UsageError(f"--tflm: there is no {missing[0]}; in a checkout of TFLM: {how}")
    return Tflm(headers, libraries[0])


@dataclass(frozen=True)
class Processor:
    """A compiler's prefix and flags; QEMU's machine, where the host does not run its programs."""

    prefix: str = ""
    flags: tuple[str, ...] = ()
    machine: str = ""

    def tool(self, name: str) -> str:
        found = shutil.which(self.prefix + name)
        if found is None:
            package = "gcc-arm-none-eabi, libstdc++-arm-none-eabi-newlib" if self.prefix else name
            pytest.skip(f"{self.prefix}{name} is not installed: the Debian package {package}")
        return found


PROCESSORS = {
    "host": Processor(),
    "cortex-m4": Processor("arm-none-eabi-", CORTEX_M4, "mps2-an386"),
    "cortex-m55": Processor("arm-none-eabi-", CORTEX_M55, "mps3-an547"),
}


def dense(folder: Path, **changes: Any) -> Contents:
    """A small int8 network around ``x``, with raw bytes, and with LiteRT's golden answers."""
    graph = int8_dense()
    options = [{"kind": "FullyConnectedOptions"}, {"kind": "SoftmaxOptions", "beta": 1.0}]
    nodes = [replace(n, options=o) for n, o in zip(graph.nodes, options, strict=True)]
    model = folder / "dense.tflite"
    model.write_bytes(build(replace(graph, nodes=nodes)))
    x = np.random.default_rng(5).integers(0, 256, (6, 4), dtype=np.uint8)
    preprocess = Preprocess((0.5, 0.25, 0.125, 0.5), (-60.0, -30.0, -15.0, -50.0))
    contents = Contents(
        name='Dense "net" \\',
        version="1b2c3d4e",
        model=model,
        precision="int8",
        inputs=(TensorSpec("x", (None, 4), "float32"),),
        outputs=(TensorSpec("y", (1, 3), "float32"),),
        preprocess=preprocess,
        labels=("first", 'the "second"', "third\\"),
        golden=Golden({"x": x}, {"y": np.zeros((6, 3), np.float32)}, {"y": 0.01}),
        measurements={},
        tools={},
    )
    y = decoded(contents, recorded(contents))
    answers = Answers("y", tuple(contents.labels[k] for k in y.argmax(axis=1)))
    golden = replace(contents.golden, outputs={"y": y}, answers=answers)
    return replace(contents, golden=golden, **changes)


def leaky(folder: Path, quantized: bool = False) -> Contents:
    """A model whose state is halved and has ``x`` added, and which gives twice the state.

    ``quantized`` the state has another scale on its way out than on its way in.
    """
    model = folder / "leaking.tflite"
    model.write_bytes(leaking(quantized))
    ends = [TensorSpec(name, (1, 2), "float32") for name in ("state_in", "state_out")]
    y = np.array([[2, 2], [3, 3], [3.5, 3.5], [2, 2]], np.float32)
    return Contents(
        name="leaky",
        version="0.1.0",
        model=model,
        precision="float32",
        inputs=(TensorSpec("x", (1, 2), "float32"),),
        outputs=(TensorSpec("y", (1, 2), "float32"),),
        preprocess=Preprocess(),
        labels=(),
        golden=Golden({"x": np.ones((4, 2), np.float32)}, {"y": y}, {"y": 0.25}, None, (0, 3)),
        measurements={},
        tools={},
        states=(CarriedState(*ends, "by name"),),
    )


@dataclass(frozen=True)
class Recording:
    """What TFLM took and gave, item by item: arrays by TFLM's numbers."""

    inputs: list[dict[int, Any]]
    outputs: list[dict[int, Any]]


def recorded(contents: Contents) -> Recording:
    """Run the golden items on TFLM in this process, as its runner feeds them."""
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    if str(RUNNERS) not in sys.path:
        sys.path.insert(0, str(RUNNERS))
    tflm_runner = importlib.import_module("tflm_runner")
    places, golden = places_of(contents), contents.golden
    content = contents.model.read_bytes()
    model = tflm_runner.TFLMModel(tflm_runner.interpreter_of(), content, 1 << 20)
    found = Recording([], [])
    carried: dict[int, Any] = {}
    for item in range(len(next(iter(golden.inputs.values())))):
        fed = {
            one.number: encode(
                golden.inputs[one.name][item : item + 1], one.info, contents.preprocess.arithmetic
            )
            for one in places.inputs
        }
        if item in (golden.streams or range(item + 1)):
            model.reset()
            carried = {
                to.number: encode(np.zeros(to.tensor.shape, np.float32), to.info, {})
                for to, _ in places.states
            }
        fed |= carried
        for number, values in fed.items():
            model.interpreter.set_input(values, number)
        model.invoke()
        numbers = [*places.outputs, *(given for _, given in places.states)]
        given = {one.number: model.interpreter.get_output(one.number).copy() for one in numbers}
        carried = {
            to.number: encode(decode(given[source.number], source.info), to.info, {})
            for to, source in places.states
        }
        found.inputs.append(fed)
        found.outputs.append(given)
    return found


def decoded(contents: Contents, recording: Recording) -> Any:
    """The recorded answers of the first output as real numbers."""
    (place, *_) = places_of(contents).outputs
    return np.concatenate([decode(one[place.number], place.info) for one in recording.outputs])


def write_bundle(contents: Contents, folder: Path, target: str = "cortex-m4") -> Path:
    """The bundle's files in a folder."""
    for name, content in microcontroller.files(catalog.load(target), contents).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_recording(recording: Recording, folder: Path) -> None:
    """``recorded.h``, which replay.cpp includes."""
    lines = ["#include <cstddef>", "#include <cstdint>", "namespace {"]
    rows = []
    for at, ends in enumerate(zip(recording.inputs, recording.outputs, strict=True)):
        for kind, values in zip(("in", "out"), ends, strict=True):
            raw = b"".join(values[number].tobytes() for number in sorted(values))
            lines.append(f"const uint8_t {kind}{at}[] = {{{', '.join(map(str, raw))}}};")
        rows.append(f"{{in{at}, out{at}}}")
    for name, values in (("Input", recording.inputs[0]), ("Output", recording.outputs[0])):
        sizes = ", ".join(str(values[number].nbytes) for number in sorted(values))
        lines += [
            f"constexpr size_t k{name}s = {len(values)};",
            f"constexpr size_t k{name}Bytes[] = {{{sizes}}};",
        ]
    lines.append("struct Item { const uint8_t *inputs, *outputs; };")
    lines.append(f"const Item kItems[] = {{{', '.join(rows)}}};\n}}  // namespace\n")
    (folder / "recorded.h").write_text("\n".join(lines))


def compiled(
    bundle: Path, processor: Processor, build: Path, *flags: str, real: Tflm | None = None
) -> Path:
    """The self-test of a bundle as a program, over the recording or over a real TFLM's library."""
    build.mkdir(parents=True, exist_ok=True)
    sources = [*sorted((bundle / "src").glob("*.c*")), bundle / "selftest" / "main.cpp"]
    tflm: list[str] = [f"-I{STUBS}", f"-I{bundle}"]
    libraries: list[str] = []
    if real is None:
        sources.append(STUBS / "replay.cpp")
    else:
        tflm = [f"-isystem{folder}" for folder in real.headers]
        libraries = [str(real.library)]
    if processor.machine:
        sources.append(BOARD / "startup.c")
    objects = [
        build_object(s, processor, build, (*tflm, f"-I{bundle}/src", *flags)) for s in sources
    ]
    program = build / "selftest"
    link = [processor.tool("g++"), *processor.flags, *objects, *libraries, "-o", program, "-lm"]
    if processor.machine:
        link += [
            "-nostartfiles",
            "--specs=nosys.specs",
            "-Wl,--gc-sections",
            "-T",
            BOARD / "board.ld",
        ]
    run(link)
    return program


def build_object(source: Path, processor: Processor, build: Path, flags: tuple[str, ...]) -> Path:
    """One file compiled with warnings as errors."""
    target = build / f"{source.name}.o"
    plain = source.suffix == ".c"
    standard = ("-std=gnu99" if source.parent == BOARD else "-std=c99",) if plain else CPP
    command = [processor.tool("gcc" if plain else "g++"), *processor.flags, *STRICT, *standard]
    run([*command, *flags, "-c", source, "-o", target])
    return target


def run(command: list[Any]) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr[-4000:]}"
    return done.stdout


def executed(program: Path, processor: Processor) -> tuple[int, str]:
    """Exit status and text of a program on its processor."""
    command = [str(program)]
    if processor.machine:
        emulator = shutil.which("qemu-system-arm")
        if emulator is None:
            pytest.skip("qemu-system-arm is not installed: the Debian package qemu-system-arm")
        command = [emulator, "-M", processor.machine, "-nographic", "-kernel", str(program)]
        command += ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr
