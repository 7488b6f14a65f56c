"""Find by name what a model's configuration would run or read, before any loader sees it.

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
from edgekit.models.allowlist import is_call, is_operator

# Layers that carry code, pickled objects, or the path of another model.
CODE = frozenset(
    {"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer"}
)
# Keras's namespaces of layers and of what layers are made of; its others load, save and download.
NAMESPACES = frozenset(
    {
        "",
        "activations",
        "constraints",
        "dtype_policies",
        "engine",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "quantizers",
        "random",
        "regularizers",
    }
)
FUNCTIONS = NAMESPACES - {"", "engine", "layers", "models"}
# Parts of a Keras path that do not name a namespace.
INNER = frozenset({"src", "legacy", "_legacy", "__internal__"})
# Functions of those namespaces that make objects of a configuration.
MAKERS = frozenset({"deserialize", "get", "serialize"})
# The layers in which Keras 2 stores a call of TensorFlow.
OPERATIONS = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}
    | {"ClassMethod", "InstanceProperty", "InstanceMethod"}
)
# The attributes and methods that such a layer may use.
ATTRIBUTES = frozenset(
    (
        "bounding_shape dtype flat_values merge_dims nested_row_lengths nested_row_splits "
        "nested_value_rowids nrows ragged_rank row_lengths row_limits row_splits row_starts shape "
        "to_sparse to_tensor uniform_row_length value_rowids values with_flat_values "
        "with_row_splits_dtype with_values"
    ).split()
)
CLASS_METHODS = re.compile(r"(compat\.v1\.)?RaggedTensor\.from_[a-z_]+")
SPECS = ("tensorflow.python.framework.", "tensorflow.python.ops.ragged.")
TFMOT = "tensorflow_model_optimization."
VOCABULARY = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})
Kind = Literal["code", "custom", "files"]


@dataclass(frozen=True)
class UnsafeReference:
    """An unsafe reference of a configuration: code to run, a custom class, or another file.

    ``names`` are those by which the user's own module may offer a custom class.
    """

    kind: Kind
    description: str
    names: frozenset[str] = frozenset()


def findings(config: Any) -> tuple[UnsafeReference, ...]:
    """Find what is unsafe or custom in a configuration, each once, in order.

    What a nested model was compiled with is left out: no loader gets to see it.
    """
    return tuple(dict.fromkeys(_walk(config)))


def refuse(
    path: Path, references: Iterable[UnsafeReference], offered: Iterable[str] | None = ()
) -> None:
    """Raise :class:`ModelError` for what an untrusted file may not hold.

    ``offered`` are the names that the user's own module gives; None where it is not read yet.
    """
    references = tuple(references)
    code = [one.description for one in references if one.kind == "code"]
    if code:
        hint = (
            "it runs code from the file: use --trust if you know who made it, or replace it"
            '\nby a layer class of your own and name its file: [model] custom_objects = "layers.py"'
        )
        raise ModelError("EK-MODEL-005", f"{path} holds {', '.join(code)}", hint)
    files = [one.description for one in references if one.kind == "files"]
    if files:
        hint = "a model's file must hold all it needs: use --trust if you know who made it"
        raise ModelError("EK-MODEL-014", f"{path} holds {', '.join(files)}", hint)
    if offered is None:
        return
    names = set(offered)
    custom = [
        one.description for one in references if one.kind == "custom" and not names & one.names
    ]
    if custom:
        raise unknown_class(path, custom, names)


def unknown_class(path: Path, names: list[str], offered: Iterable[str]) -> ModelError:
    """Build the error for custom classes that no file defines."""
    hint = (
        'name the file of its class: [model] custom_objects = "layers.py", or --custom-objects FILE'
        "\n(--trust lets the loader import it by its path, where it is installed)"
    )
    if offered:
        hint = f"the custom objects file gives {', '.join(sorted(offered))}\n" + hint
    message = f"{path} holds {', '.join(names)}, which Keras does not know"
    return ModelError("EK-MODEL-013", message, hint)


def _walk(node: Any) -> Iterator[UnsafeReference]:
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


def _object(node: Mapping[str, Any]) -> Iterator[UnsafeReference]:
    kinds = [node.get(f"{key}_type") for key in ("function", "output_shape", "mask")]
    if "lambda" in kinds or "__lambda__" in [v for v in node.values() if isinstance(v, str)]:
        yield UnsafeReference("code", f"a Python lambda{_named(node)}")
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
        yield UnsafeReference("code", f"the {title.replace(' ', ' layer ', 1)}")
    elif OPERATIONS & {_tail(class_name), _tail(registered)}:
        yield from _operation(config if isinstance(config, Mapping) else {}, title)
    elif class_name == "__typespec__":
        yield from _by_path(node, str(node.get("spec_name")), registered, "")
    elif ">" in class_name or (not class_name.startswith("__") and "module" in node):
        yield from _by_path(node, class_name, registered, _named(config))
    yield from _vocabulary(_tail(class_name), config)


def _by_path(
    node: Mapping[str, Any], name: str, registered: str, named: str
) -> Iterator[UnsafeReference]:
    """Find a class by its import path, or by the name it was registered under."""
    module = str(node.get("module") or "")
    if (module and _is_keras(f"{module}.{name}")) or module.startswith(TFMOT):
        return
    if node["class_name"] == "__typespec__" and module.startswith(SPECS) and name.endswith("Spec"):
        return
    path = f" ({module}.{name})" if module else ""
    names = frozenset({name, _tail(name), registered, _tail(registered)} - {""})
    yield UnsafeReference("custom", f"the class {_tail(name)}{named}{path}", names)


def _function(node: Mapping[str, Any], name: str, registered: str) -> Iterator[UnsafeReference]:
    module = str(node.get("module") or "")
    if module == "builtins" and not hasattr(builtins, name) and name.isidentifier():
        return
    if module and module != "builtins" and _is_keras(f"{module}.{name}"):
        return
    path = f" ({module}.{name})" if module and module != "builtins" else ""
    names = frozenset({name, _tail(name), registered, _tail(registered)} - {""})
    yield UnsafeReference("custom", f"the function {_tail(name)}{path}", names)


def _is_keras(path: str) -> bool:
    """Tell whether a dotted path is one of Keras's own layers, or a part of layers.

    Beside the classes of layers and models stand functions that load and save.
    """
    root, *rest = path.split(".")
    while rest[:1] and rest[0] in INNER:
        rest = rest[1:]
    space = rest[0] if len(rest) > 1 else ""
    known = NAMESPACES if path.split(".")[-1][:1].isupper() else FUNCTIONS
    known = known if rest[-1:] and rest[-1] not in MAKERS else frozenset()
    return root in ("keras", "tf_keras") and bool(rest) and space in known


def _operation(config: Mapping[str, Any], title: str) -> Iterator[UnsafeReference]:
    """Check a call of TensorFlow that Keras 2 keeps as a layer: all it names must be allowed."""
    if "node_def" in config:
        node = config["node_def"]
        operator = node.get("op") if isinstance(node, Mapping) else None
        if not is_operator(operator):
            yield UnsafeReference("code", f"the operator {operator or 'that is not a table'}")
    if "function" in config and not is_call(str(config["function"])):
        yield UnsafeReference("code", f"the call tf.{config['function']}{_named(config)}")
    if "cls_symbol" in config or "method_name" in config:
        method = f"{config.get('cls_symbol')}.{config.get('method_name')}"
        if not CLASS_METHODS.fullmatch(method):
            yield UnsafeReference("code", f"the call tf.{method}{_named(config)}")
    if "attr_name" in config and config["attr_name"] not in ATTRIBUTES:
        yield UnsafeReference("code", f"the attribute {config['attr_name']}{_named(config)}")
    if not config.keys() & {"node_def", "function", "cls_symbol", "attr_name"}:
        yield UnsafeReference("code", f"the {title}, which names no call")


def _vocabulary(name: str, config: Any) -> Iterator[UnsafeReference]:
    if name in VOCABULARY and isinstance(config, Mapping):
        source = config.get("vocabulary")
        if isinstance(source, str):
            yield UnsafeReference(
                "files", f"{name}{_named(config)}, which reads the file {source!r}"
            )


def _tail(name: str) -> str:
    return re.split(r"[.>]", name)[-1]


def _named(config: Any) -> str:
    name = config.get("name") if isinstance(config, Mapping) else None
    return f" {name!r}" if isinstance(name, str) else ""
