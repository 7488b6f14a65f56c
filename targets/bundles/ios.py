"""The bundle for iOS: a Swift package and a pod, with the model as a resource and a self-test."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.converters import flatbuffer
from edgekit.converters.runtime_version import minimum_runtime
from edgekit.errors import BundleDoesNotSuit
from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.contents import Contents
from edgekit.targets.bundles.linux_python import package_version
from edgekit.targets.bundles.processing import swift
from edgekit.targets.bundles.processing.library import joined, short_float
from edgekit.targets.bundles.processing.spec import spec_of
from edgekit.targets.bundles.processing.swift import text
from edgekit.targets.catalog import Target

APP = FOLDER / "ios"
MODEL = "Resources/model.tflite"
POD = "TensorFlowLiteSwift"
# Where each source lies: what needs TensorFlow Lite is not part of the Swift package.
SOURCES = {
    "Npy.swift": "Sources",
    "Model.swift": "Sources",
    "SelfTest.swift": "Sources",
    "Resources.swift": "Sources",
    "InterpreterNetwork.swift": "Interpreter",
    "SelfTestCase.swift": "Tests",
    "Package.swift": "",
}

README = """# {name} {version} for {title}

| file | what |
| --- | --- |
| `{module}.podspec` | the pod: everything below, with {pod} {release}, and the self-test as its test spec |
| `Package.swift` | the same as a Swift package, without an interpreter: TensorFlow Lite has no Swift package |
| `Sources/` | pre- and postprocessing, the self-test, and the protocol `Network` between them |
| `Interpreter/` | `InterpreterNetwork`, the model in TensorFlow Lite |
| `Resources/model.tflite` | the {precision} model, a resource |
| `golden/` | raw items and the outputs that the model gave for them, resources too |
| `manifest.json` | inputs, outputs, preprocessing, labels, and what was measured |

In your app's `Podfile`, with this folder beside it:

    pod '{module}', :path => '{folder}', :testspecs => ['SelfTest']

`pod install`, then run the scheme `{module}-Unit-SelfTest` in Xcode on a device. At the app's first start:

    import {module}

    let network = try InterpreterNetwork(modelPath: Resources.model!.path)
    let model = Model(network)
    let report = try selfTest(model, open: Resources.golden)  // report.passed, report.problems
    let answers = try model.classify([{input}: values])

`values` are raw: `ModelSpec` rescales and quantizes them.{streams}

**No Swift compiler was at hand where this bundle is made and tested: every Swift file was read by a grammar
of Swift without an error, none was compiled or run.** The same rules in C, Kotlin, TypeScript and Python were
run against the same golden vectors.
{notes}"""  # noqa: E501


STREAMS = """
The model keeps a state from an inference to the next: `try model.begin()` begins a new stream."""


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`BundleDoesNotSuit` where no pod has the model's operators, or a signature is to
    run that is not of the file's main graph.
    """
    spec = spec_of(contents)
    file = flatbuffer.read(contents.model)
    graphs = {one.key: one.graph for one in file.signatures}
    if graphs.get(contents.signature or "serving_default", 0) != 0:
        message = f"{contents.name} has no bundle for iOS: its app runs a file's main graph only"
        hint = f"signature {contents.signature!r} is another graph: make a file of it alone"
        raise BundleDoesNotSuit("EK-BUNDLE-024", message, hint)
    words = {
        "MODULE": f"{contents.code_name[:1].upper()}{contents.code_name[1:]}Model",
        "VERSION": package_version(contents.version).replace("+", "."),
        "LICENCE": contents.licence.spdx.replace("'", "") or "unknown",
        "AUTHOR": contents.author.replace("'", "") or contents.app,
        "RELEASE": release(contents.name, file),
    }
    placed = {
        f"{folder}/{name}".lstrip("/"): _filled(name, words) for name, folder in SOURCES.items()
    }
    placed[f"{words['MODULE']}.podspec"] = _filled("Model.podspec", words)
    placed |= {f"Sources/{n}": c for n, c in swift.files(spec, contents.name).items()}
    placed["Sources/GoldenPairs.swift"] = _golden(contents, file).encode()
    placed["README.md"] = README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        precision=contents.precision,
        module=words["MODULE"],
        pod=POD,
        release=words["RELEASE"],
        folder=f"{contents.name}-{contents.version}-{target.id}",
        input=text(spec.inputs[0].name),
        streams=STREAMS if contents.states or contents.golden.streams else "",
        notes="".join(f"\n- {note}." for note in target.notes) + "\n",
    ).encode()
    return placed


def release(name: str, file: flatbuffer.TFLiteFile) -> str:
    """Return the lowest known version of the pod that has every operator of a file.

    Raises :class:`BundleDoesNotSuit` where none has.
    """
    (pod,) = (one for one in minimum_runtime(file).packages if one.name == POD)
    if not pod.version:
        message = f"{name} has no bundle for iOS: no {POD} has its operators"
        hint = f"{pod.reason}; convert for the target ios-arm64, whose profile is older"
        raise BundleDoesNotSuit("EK-BUNDLE-025", message, hint)
    return pod.version


def _filled(name: str, words: Mapping[str, str]) -> bytes:
    content = (APP / name).read_text(encoding="utf-8")
    for key, value in words.items():
        content = content.replace(f"@{key}@", value)
    return content.encode()


def _places(
    contents: Contents, file: flatbuffer.TFLiteFile
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return where the interpreter has each input and output: in the order of the file's graph."""
    inputs = (*contents.inputs, *(one.input for one in contents.states))
    outputs = (*contents.outputs, *(one.output for one in contents.states))
    places = []
    for named, specs, ordered in (
        (file.inputs_of(contents.signature), inputs, file.inputs),
        (file.outputs_of(contents.signature), outputs, file.outputs),
    ):
        at = {tensor.index: place for place, tensor in enumerate(ordered)}
        places.append(
            {
                spec.name: at[named[spec.name].index] if spec.name in named else place
                for place, spec in enumerate(specs)
            }
        )
    return places[0], places[1]


def _golden(contents: Contents, file: flatbuffer.TFLiteFile) -> str:
    golden = contents.golden
    inputs = joined(
        f"{text(name)}: {text(f'input_{k}.npy')}" for k, name in enumerate(golden.inputs)
    )
    outputs = ",\n        ".join(
        f"GoldenOutput(name: {text(name)}, file: {text(f'output_{k}.npy')},"
        f" tolerance: {short_float(golden.tolerance[name])})"
        for k, name in enumerate(golden.outputs)
    )
    answers = joined(map(text, golden.answers.labels)) if golden.answers else ""
    ins, outs = (
        joined(f"{text(name)}: {place}" for name, place in places.items())
        for places in _places(contents, file)
    )
    return (
        "// Made by edgekit: do not edit, it is written anew with each bundle.\n"
        "public enum GoldenPairs {\n"
        f"    static let inputs: [String: String] = [{inputs}]\n"
        f"    static let outputs: [GoldenOutput] = [\n        {outputs}\n    ]\n"
        "    /// What the golden items' classes are called, where they have names.\n"
        f"    static let answers: [String] = [{answers}]\n"
        "    /// The items at which streams begin; none where each is by itself.\n"
        f"    static let streams: Set<Int> = [{joined(map(str, golden.streams))}]\n"
        "    /// Where the interpreter has each input and output.\n"
        f"    static let inputPlaces: [String: Int] = [{ins}]\n"
        f"    static let outputPlaces: [String: Int] = [{outs}]\n"
        "}\n"
    )
