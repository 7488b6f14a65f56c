"""The bundle for Android: a Gradle module in Kotlin, and the model as an AI pack of Google Play."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.version import Version

from edgekit.converters import flatbuffer
from edgekit.converters.metadata.facts import ENTRY
from edgekit.errors import BundleDoesNotSuit
from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles import recorder_code
from edgekit.targets.bundles.contents import Contents
from edgekit.targets.bundles.processing import kotlin
from edgekit.targets.bundles.processing.kotlin import text
from edgekit.targets.bundles.processing.library import joined, short_float
from edgekit.targets.bundles.processing.spec import spec_of
from edgekit.targets.catalog import Target

APP = FOLDER / "android"
# Where the model lies in the archive: once, in Play's AI pack, which the module reads too.
MODEL = "model_pack/src/main/assets/model#group_other/model.tflite"
# The releases of com.google.ai.edge.litert:litert with org.tensorflow.lite.Interpreter: 2.x has
# none. Source: GitHub issues google-ai-edge/LiteRT 4775 and 2752.
INTERPRETERS = ("1.4.0",)
SOURCES = (
    *("Npy.kt", "Model.kt", "Recorder.kt", "RawItems.kt", "SelfTest.kt"),
    "InterpreterNetwork.kt",
)
KOTLIN = "model/src/main/kotlin"
TESTS = "model/src/androidTest/kotlin"

README = """# {name} {version} for {title}

A Gradle project of two modules, written for Android Studio (Android Gradle plugin 8.7):

| file | what |
| --- | --- |
| `model/` | a library in Kotlin: LiteRT {litert}, pre- and postprocessing, the self-test |
| `model_pack/` | the {precision} model as an AI pack of Google Play; the library takes it from there too |
| `golden/` | raw items and the outputs that the model gave for them |
| `manifest.json` | inputs, outputs, preprocessing, labels, and what was measured |

Add the Gradle wrapper of your Android Studio (`gradle wrapper`), connect a device, and run the
self-test on it:

    ./gradlew :model:connectedAndroidTest

In an app, add `implementation(project(":model"))`, and at its first start:

    val network = InterpreterNetwork.open(context)
    val report = selfTest(context, network)     // report.passed, report.runtime, report.problems
    val model = Model(network)
    val answers = model.classify(mapOf({input} to values))

`values` are raw: `ModelSpec` rescales and quantizes them.{pictures}{streams}{records}

Delivered by Google Play, the AI pack's folder keeps its name without the group:
`InterpreterNetwork.open(context, "model/model.tflite")`, with `assetPacks += ":model_pack"` in the app and
without the line `assets.srcDirs` in `model/build.gradle.kts`. The group `other` is the fallback for every
device; more groups need a `device_targeting_configuration.xml`.

An app has to store the model uncompressed: `androidResources {{ noCompress += "tflite" }}`.
{edges}
Made without an Android SDK: the Kotlin sources and the instrumented test were compiled, and run on a JVM with
models of LiteRT, against stubs of the classes of Android that they use. Gradle did not run.
{notes}"""  # noqa: E501

PICTURES = """
`raw(fit(ModelSpec.inputs[0].picture!!, bytes, height, width, channels))` makes them of a picture,
to the bit as edgekit did when it measured the model."""
RECORDS = """
To watch over it in service, count what it is given and what it answers:

    val recorder = Recorder(File(context.filesDir, "records"), Build.MODEL)
    val model = Model(network, recorder)        // recorder.close() when the app goes

It counts by the bins of `monitoring.json`: statistics, one JSON line for a thousand items or an
hour, and never an item. It takes at most 32 MB, a full disk stops nothing, and it sends nothing:
`edgekit monitor BUNDLE RECORDS` reads what the app uploads. Without a recorder nothing is counted.

`Recorder(folder, Build.MODEL, raw = RawItems(100))` also keeps a sample of raw items, at most 100
and 16 MiB, in `items.jsonl`: inputs as the app gave them, and what was answered. **They may hold
personal data.** The sample of the start before stays as `items-1.jsonl`.
"""
STREAMS = """
The model keeps a state from an inference to the next: `model.begin()` begins a new stream."""
EDGES = """
Inputs or outputs are int8: Task Library and MediaPipe refuse the file, they take uint8 or float32.
For them, convert with `--precision uint8-io` or `int8-float-io`.
"""
DESCRIBED = """
The model holds TFLite Metadata: Task Library and MediaPipe read normalization and labels from it.
"""
UNDESCRIBED = """
The model holds no TFLite Metadata, from which Task Library and MediaPipe read normalization and
labels: convert with `--metadata` for them. The app of this bundle needs none.
"""


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle.

    Raises :class:`BundleDoesNotSuit` for a model that needs a LiteRT without interpreter.
    """
    release = litert(contents)
    spec = spec_of(contents)
    package = contents.app
    sources = {name: (APP / name).read_bytes() for name in SOURCES}
    sources["GoldenPairs.kt"] = _golden(contents, release).encode()
    head, named = b"package edgekit\n", f"package {package}\n".encode()
    sources = {name: content.replace(head, named, 1) for name, content in sources.items()}
    sources |= kotlin.files(spec, contents.name, package)
    sources["MonitoringSpec.kt"] = recorder_code.kotlin(contents, package).encode()
    test = (APP / "SelfTestOnDevice.kt").read_bytes().replace(head, named, 1)
    gradle = (APP / "build.gradle.kts").read_text(encoding="utf-8")
    gradle = gradle.replace("@NAMESPACE@", package).replace("@LITERT@", release)
    edges = {tensor.dtype for tensor in spec.inputs} | {tensor.dtype for tensor in spec.outputs}
    described = ENTRY in flatbuffer.read(contents.model).metadata
    readme = README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        precision=contents.precision,
        litert=release,
        input=text(spec.inputs[0].name),
        records=RECORDS if contents.monitoring else "",
        pictures=PICTURES if "pictures" in spec.parts else "",
        streams=STREAMS if contents.states or contents.golden.streams else "",
        edges=EDGES if "int8" in edges else DESCRIBED if described else UNDESCRIBED,
        notes="".join(f"\n- {note}." for note in target.notes) + "\n",
    )
    folder = package.replace(".", "/")
    return {
        **{f"{KOTLIN}/{folder}/{name}": content for name, content in sources.items()},
        f"{TESTS}/{folder}/SelfTestOnDevice.kt": test,
        "model/build.gradle.kts": gradle.encode(),
        "model/src/main/AndroidManifest.xml": (APP / "AndroidManifest.xml").read_bytes(),
        "model_pack/build.gradle.kts": (APP / "model_pack.gradle.kts").read_bytes(),
        "settings.gradle.kts": (APP / "settings.gradle.kts").read_bytes(),
        "README.md": readme.encode(),
    }


def litert(contents: Contents) -> str:
    """Return the first release for Android that has every operator of the model.

    Raises :class:`BundleDoesNotSuit` where the interpreter's last release has not.
    """
    need = contents.minimum_runtime
    if need is None:
        return INTERPRETERS[0]
    for release in INTERPRETERS:
        if need.litert and Version(need.litert) <= Version(release):
            return release
    message = f"{contents.name} has no bundle for Android: its app uses LiteRT's interpreter"
    wanted = need.litert or "no release"
    hint = (
        f"the last release of it for Android is {INTERPRETERS[-1]}; {need.forced_by or 'the model'}"
        f" needs {wanted}: {need.reason or 'convert with a profile for older runtimes'}"
    )
    raise BundleDoesNotSuit("EK-BUNDLE-023", message, hint)


def _golden(contents: Contents, release: str) -> str:
    golden = contents.golden
    inputs = joined(
        f"{text(name)} to {text(f'input_{k}.npy')}" for k, name in enumerate(golden.inputs)
    )
    outputs = ",\n        ".join(
        f"GoldenOutput({text(name)}, {text(f'output_{k}.npy')},"
        f" {short_float(golden.tolerance[name])}f)"
        for k, name in enumerate(golden.outputs)
    )
    answers = joined(map(text, golden.answers.labels)) if golden.answers else ""
    signature = text(contents.signature) if contents.signature else "null"
    return (
        "// Made by edgekit: do not edit, it is written anew with each bundle.\n"
        "package edgekit\n\n"
        "object GoldenPairs {\n"
        f"    const val LITERT = {text(release)}\n"
        f"    val inputs = mapOf({inputs})\n"
        f"    val outputs = listOf(\n        {outputs}\n    )\n"
        "    /** What the golden items' classes are called, where they have names. */\n"
        f"    val answers: List<String> = listOf({answers})\n"
        "    /** The items at which streams begin; none where each is by itself. */\n"
        f"    val streams: Set<Int> = setOf({joined(map(str, golden.streams))})\n"
        "    /** Which one of the file's signatures runs, where it has several. */\n"
        f"    val signature: String? = {signature}\n"
        "}\n"
    )
