"""What a model's configuration would run or read, found by name before any loader sees it.

A rule of names, not of good faith: what is not Keras's own, or not known to be harmless, is listed.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgekit.errors import ModelError

# Layers that carry code, pickled objects, or the path of another model.
CODE = frozenset(
    {"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer"}
)
# Keras's namespaces of layers and of what layers are made of; its others load, save and download.
NAMESPACES = frozenset(
    {
        "", "activations", "constraints", "dtype_policies", "engine", "initializers", "layers",
        "losses", "metrics", "mixed_precision", "models", "ops", "optimizers", "quantizers",
        "random", "regularizers",
    }
)  # fmt: skip
FUNCTIONS = NAMESPACES - {"", "engine", "layers", "models"}
# Names inside a Keras path that say nothing of what is there.
INNER = frozenset({"src", "legacy", "_legacy", "__internal__"})
# TensorFlow's, for the calls that Keras 2 keeps as TFOpLambda layers.
TF_NAMESPACES = frozenset(
    {
        "__operators__", "bitwise", "dtypes", "image", "linalg", "math", "nn", "quantization",
        "ragged", "random", "signal", "sparse", "strings",
    }
)  # fmt: skip
TF_REFUSED = frozenset(
    {
        "function", "load_library", "load_op_library", "numpy_function", "print", "py_func",
        "py_function",
    }
)  # fmt: skip
TFMOT = "tensorflow_model_optimization."
VOCABULARY = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})
# Operators that read or write files, reach other machines, or call Python.
OPERATORS = frozenset(
    {
        "PyFunc", "PyFuncStateless", "EagerPyFunc",
        "ReadFile", "WriteFile", "MatchingFiles", "PrintV2",
        "Save", "SaveSlices", "SaveV2", "Restore", "RestoreSlice", "RestoreV2",
        "MergeV2Checkpoints", "CheckpointExists", "DistributedSave",
        "WholeFileReader", "WholeFileReaderV2", "TextLineReader", "TextLineReaderV2",
        "TFRecordReader", "TFRecordReaderV2", "FixedLengthRecordReader",
        "FixedLengthRecordReaderV2", "LMDBReader", "ReaderRead", "ReaderReadV2",
        "ReaderReadUpTo", "ReaderReadUpToV2", "TextLineDataset", "TFRecordDataset",
        "TFRecordDatasetV2", "FixedLengthRecordDataset", "FixedLengthRecordDatasetV2",
        "LMDBDataset", "SqlDataset", "CSVDataset", "CSVDatasetV2", "SnapshotDataset",
        "SnapshotDatasetV2", "SnapshotDatasetReader", "SaveDataset", "SaveDatasetV2",
        "LoadDataset", "CacheDataset", "CacheDatasetV2", "DatasetToTFRecord",
        "MatchingFilesDataset", "DataServiceDataset", "DataServiceDatasetV2",
        "DataServiceDatasetV3", "DataServiceDatasetV4", "RegisterDataset", "RegisterDatasetV2",
        "CreateSummaryFileWriter", "CreateSummaryDbWriter", "WriteSummary", "WriteScalarSummary",
        "WriteHistogramSummary", "WriteImageSummary", "WriteAudioSummary", "WriteGraphSummary",
        "WriteRawProtoSummary", "ImportEvent", "FlushSummaryWriter",
        "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount",
        "DebugNumericSummary", "DebugNumericSummaryV2",
        "DecodeProtoV2", "EncodeProto", "FileSystemSetConfiguration",
    }
)  # fmt: skip

Kind = Literal["code", "custom", "files"]


@dataclass(frozen=True)
class Finding:
    """Something that a configuration names: code to run, a custom class, or another file.

    ``names`` are those by which the user's own module may offer a custom class.
    """

    kind: Kind
    what: str
    names: frozenset[str] = frozenset()


def findings(config: Any) -> tuple[Finding, ...]:
    """What is unsafe or custom in a configuration, each once, in the order it stands there.

    What a nested model was compiled with is left out: no loader gets to see it.
    """
    return tuple(dict.fromkeys(_walk(config)))


def refuse(path: Path, found: Iterable[Finding], offered: Iterable[str] | None = ()) -> None:
    """Raise :class:`ModelError` for what an untrusted file may not hold.

    ``offered`` are the names that the user's own module gives; None where it is not read yet.
    """
    found = tuple(found)
    code = [one.what for one in found if one.kind == "code"]
    if code:
        hint = (
            "it runs code that the file carries: use --trust if you know who made it, or replace it"
            '\nby a layer class of your own and name its file: [model] custom_objects = "layers.py"'
        )
        raise ModelError("EK-MODEL-005", f"{path} holds {', '.join(code)}", hint)
    files = [one.what for one in found if one.kind == "files"]
    if files:
        hint = "a model's file brings all it needs: use --trust if you know who made it"
        raise ModelError("EK-MODEL-014", f"{path} holds {', '.join(files)}", hint)
    if offered is None:
        return
    given = set(offered)
    custom = [one.what for one in found if one.kind == "custom" and not given & one.names]
    if custom:
        raise unknown_class(path, custom, given)


def unknown_class(path: Path, names: list[str], given: Iterable[str]) -> ModelError:
    """The error for custom classes that nobody has given."""
    hint = (
        'name the file of its class: [model] custom_objects = "layers.py", or --custom-objects FILE'
        "\n(--trust lets the loader import it by its path, where it is installed)"
    )
    if given:
        hint = f"the custom objects file gives {', '.join(sorted(given))}\n" + hint
    message = f"{path} holds {', '.join(names)}, which Keras does not know"
    return ModelError("EK-MODEL-013", message, hint)


def _walk(node: Any) -> Iterator[Finding]:
    if isinstance(node, list):
        for value in node:
            yield from _walk(value)
    if not isinstance(node, Mapping):
        return
    here = tuple(_object(node))
    yield from here
    if any(one.kind == "code" for one in here):
        return
    for key, value in node.items():
        if key != "compile_config":
            yield from _walk(value)


def _object(node: Mapping[str, Any]) -> Iterator[Finding]:
    kinds = [node.get(f"{key}_type") for key in ("function", "output_shape", "mask")]
    if "lambda" in kinds or "__lambda__" in [v for v in node.values() if isinstance(v, str)]:
        yield Finding("code", f"a Python lambda{_named(node)}")
        return
    class_name = node.get("class_name")
    if not isinstance(class_name, str):
        return
    config = node.get("config")
    registered = str(node.get("registered_name") or "")
    if class_name == "function":
        yield from _function(node, str(config), registered)
        return
    title = f"{class_name.rpartition('>')[2]}{_named(config)}"
    if CODE & {_tail(class_name), _tail(registered)}:
        yield Finding("code", f"the {title.replace(' ', ' layer ', 1)}")
    elif class_name in ("TFOpLambda", "ClassMethod", "TensorFlowOpLayer"):
        yield from _operation(class_name, config if isinstance(config, Mapping) else {})
    elif class_name == "__typespec__":
        yield from _by_path(node, str(node.get("spec_name")), registered, "")
    elif ">" in class_name or (not class_name.startswith("__") and "module" in node):
        yield from _by_path(node, class_name, registered, _named(config))
    yield from _vocabulary(_tail(class_name), config)


def _by_path(node: Mapping[str, Any], name: str, registered: str, named: str) -> Iterator[Finding]:
    """A class that is found by its import path, or by the name it was registered under."""
    module = str(node.get("module") or "")
    if (module and _is_keras(f"{module}.{name}")) or module.startswith(TFMOT):
        return
    if node["class_name"] == "__typespec__" and module.startswith("tensorflow.python."):
        return
    path = f" ({module}.{name})" if module else ""
    names = frozenset({name, _tail(name), registered, _tail(registered)} - {""})
    yield Finding("custom", f"the class {_tail(name)}{named}{path}", names)


def _function(node: Mapping[str, Any], name: str, registered: str) -> Iterator[Finding]:
    module = str(node.get("module") or "")
    if module == "builtins" and not hasattr(builtins, name) and name.isidentifier():
        return
    if module and module != "builtins" and _is_keras(f"{module}.{name}"):
        return
    path = f" ({module}.{name})" if module and module != "builtins" else ""
    names = frozenset({name, _tail(name), registered, _tail(registered)} - {""})
    yield Finding("custom", f"the function {_tail(name)}{path}", names)


def _is_keras(path: str) -> bool:
    """Whether a dotted path is one of Keras's own layers or of what layers are made of.

    Beside the classes of layers and models stand functions that load and save.
    """
    root, *rest = path.split(".")
    while rest[:1] and rest[0] in INNER:
        rest = rest[1:]
    space = rest[0] if len(rest) > 1 else ""
    known = NAMESPACES if path.split(".")[-1][:1].isupper() else FUNCTIONS
    return root in ("keras", "tf_keras") and bool(rest) and space in known


def _operation(class_name: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    """A call of TensorFlow that Keras 2 keeps as a layer."""
    if class_name == "TensorFlowOpLayer":
        named = re.findall(r'\bop"?\s*:\s*"(\w+)"', str(config.get("node_def")))
        refused = sorted(OPERATORS & set(named))
        yield from (Finding("code", f"the operator {name}") for name in refused)
        return
    symbol = str(config.get("function" if class_name == "TFOpLambda" else "cls_symbol"))
    space, _, name = symbol.removeprefix("compat.v1.").rpartition(".")
    first = space.partition(".")[0]
    backend = symbol.startswith("keras.backend.")
    harmless = not space or first in TF_NAMESPACES or backend or _is_keras(symbol)
    if not harmless or name in TF_REFUSED:
        yield Finding("code", f"the call tf.{symbol}{_named(config)}")


def _vocabulary(name: str, config: Any) -> Iterator[Finding]:
    if name in VOCABULARY and isinstance(config, Mapping):
        source = config.get("vocabulary")
        if isinstance(source, str):
            yield Finding("files", f"{name}{_named(config)}, which reads the file {source!r}")


def _tail(name: str) -> str:
    return re.split(r"[.>]", name)[-1]


def _named(config: Any) -> str:
    name = config.get("name") if isinstance(config, Mapping) else None
    return f" {name!r}" if isinstance(name, str) else ""
