"""Load a Keras model from its file, or build it by the user's function. Runs in the worker."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgekit.errors import EdgekitError, ModelError
from edgekit.models import files, wrappers
from edgekit.models.custom import custom_objects
from edgekit.models.files import ModelContent
from edgekit.models.load_guard import guarded
from edgekit.models.repair import operations, repaired
from edgekit.models.safety import findings, refuse, unknown_class
from edgekit.types import Model
from edgekit.usercode import resolve, user_errors
from edgekit.worker import at_most

SECONDS = 300
# The loaders' messages for a class or function that they do not know.
UNKNOWN = re.compile(
    r"Unknown (?:layer|activation function|initializer|regularizer|constraint)[^:]*: ?'?([\w>.]+)"
    r"|Could not (?:locate|deserialize) (?:class|function) '([\w>.]+)'"
)


@dataclass(frozen=True)
class UnwrappedModel:
    """A Keras model and the TFMOT wrappers that its file held.

    Those of pruning and clustering are stripped; those of quantization-aware training stay.
    """

    model: Any
    wrappers: tuple[str, ...] = ()


def load(model: Model, trust: bool = False) -> Any:
    """Load the Keras model in a file, by the loader of its own generation, without compiling it.

    Raises :class:`ModelError` with the loader's own reason, or the name of what is refused.
    """
    return load_with_wrappers(model, trust).model


def load_with_wrappers(model: Model, trust: bool = False) -> UnwrappedModel:
    """Load the Keras model in a file, and name the wrappers that TFMOT left in it."""
    kind = model.kind
    if kind == "saved_model" or kind == "tflite":
        hint = "give the .keras or .h5 that it was made from: this file has no layers any more"
        raise ModelError("EK-MODEL-008", f"{model.path} has no Keras layers", hint)
    if not model.path.exists():
        hint = "a subclassed model needs get_config to be saved as .keras; its SavedModel converts"
        raise ModelError("EK-MODEL-008", f"{model.path} was never written", hint)
    with at_most(SECONDS, f"loading {model.path.name}"):
        return _load(model, kind, trust or model.own)


def build(source: str, root: Path, arguments: Mapping[str, Any] | None = None) -> Any:
    """Build the Keras model by the user's function, called with arguments, if any.

    Raises :class:`ModelError` where it returns something else.
    """
    with at_most(SECONDS, f"building {source}"):
        function = resolve(source, root)
        try:
            with user_errors(source):
                model = function(**(arguments or {}))
        except EdgekitError as error:
            raise _with_weights_hint(error) from error
    if not hasattr(model, "get_config") or not hasattr(model, "fit"):
        raise ModelError(
            "EK-MODEL-009", f"{source} returned {type(model).__name__}, not a Keras model"
        )
    return model


def is_keras3(model: Any) -> bool:
    """Tell whether a model object is Keras 3's (else tf_keras's)."""
    return any(kind.__module__.startswith("keras.") for kind in type(model).__mro__)


def library(model: Any) -> Any:
    """Return the Keras that a model belongs to: ``keras`` or ``tf_keras``."""
    if is_keras3(model):
        import keras

        return keras
    import tf_keras

    return tf_keras


def _load(model: Model, kind: Literal["keras", "h5", "json"], trust: bool) -> UnwrappedModel:
    content = files.read(model.path, kind)
    names = wrappers.wrappers_in(content.config)
    # The more careful loader first: Keras 3 unpickles and unmarshals nothing in its safe mode.
    turns = {"unknown": (_by_keras3, _by_keras2), "keras3": (_by_keras3,)}
    failures: list[tuple[str, Exception]] = []
    for turn in turns.get(content.generation, (_by_keras2,)):
        try:
            loaded = turn(model, content, trust)
            return UnwrappedModel(wrappers.strip(loaded, names), tuple(sorted(names)))
        except EdgekitError:
            raise
        except Exception as error:
            failures.append((turn.__name__.removeprefix("_by_"), error))
    raise _refused(model, names, failures) from failures[-1][1]


def _by_keras3(model: Model, content: ModelContent, trust: bool) -> Any:
    import keras
    from keras.src.saving.serialization_lib import SafeModeScope

    objects = custom_objects(model, keras)
    _check(model, content, objects, trust)
    config = repaired(content.config, "keras3", model.kind)

    def from_file(path: Path) -> Any:
        return keras.saving.load_model(path, compile=False, safe_mode=not trust)

    known = {**objects, **operations(config)}
    guard = contextlib.nullcontext() if trust else guarded(model.path, known.values())
    with guard, SafeModeScope(not trust), keras.saving.custom_object_scope(known):
        return _read(model, content, config, keras.models.model_from_json, from_file)


def _by_keras2(model: Model, content: ModelContent, trust: bool) -> Any:
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    objects = custom_objects(model, tf_keras)
    _check(model, content, objects, trust)
    config = repaired(content.config, "keras2", model.kind)

    def from_file(path: Path) -> Any:
        return tf_keras.models.load_model(path, compile=False)

    # An .h5 and a JSON know no safe_mode argument; the scope is what that argument sets.
    known = tf_keras.utils.custom_object_scope(dict(objects))
    guard = contextlib.nullcontext() if trust else guarded(model.path, objects.values())
    scope = wrappers.scope(wrappers.wrappers_in(config))
    with guard, SafeModeScope(not trust), known, scope:
        return _read(model, content, config, tf_keras.models.model_from_json, from_file)


def _read(
    model: Model,
    content: ModelContent,
    config: Any,
    from_json: Callable[[str], Any],
    from_file: Callable[[Path], Any],
) -> Any:
    """Read a model with the loaders of one Keras, from the repaired configuration."""
    if model.kind == "json":
        built = from_json(json.dumps(config))
        if model.weights is not None:
            _load_weights(built, model, model.weights)
        return built
    with _repaired_file(model, content, config) as path:
        return from_file(path)


def _check(model: Model, content: ModelContent, objects: Any, trust: bool) -> None:
    """Check the file again, now that the names in the user's module are known."""
    if not trust:
        refuse(model.path, findings(content.config), objects)


@contextlib.contextmanager
def _repaired_file(model: Model, content: ModelContent, config: Any) -> Iterator[Path]:
    """Yield the file, or a copy of it with the repaired configuration.

    Loaders go by a file's suffix, edgekit by its content; both must see the same in it.
    """
    # compile=False already skips the compile configuration of the whole model.
    original = {k: v for k, v in content.config.items() if k != "compile_config" or v is None}
    kind: Literal["keras", "h5"] = "keras" if model.kind == "keras" else "h5"
    if config != original:
        with files.with_config(model.path, kind, config) as path:
            yield path
    elif model.path.suffix == f".{kind}":
        yield model.path
    else:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / f"model.{kind}"
            link.symlink_to(model.path.resolve())
            yield link


def _load_weights(built: Any, model: Model, weights: Path) -> None:
    """Load weights from a name that tells the loader their format."""
    name = "w.h5" if files.is_legacy_weights(weights) else "w.weights.h5"
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / name
        link.symlink_to(weights.resolve())
        try:
            built.load_weights(str(link))
        except Exception as error:
            reason = " ".join(str(error).split())[:400]
            hint = f"they are of another architecture, or saved by another Keras: {reason}"
            message = f"{weights} does not fit {model.path}"
            raise ModelError("EK-MODEL-016", message, hint) from error


def _refused(
    model: Model, wrapper_names: frozenset[str], failures: list[tuple[str, Exception]]
) -> ModelError:
    if wrapper_names & wrappers.QUANTIZATION:
        ways = "model.save('model.h5') or " if model.kind == "keras" else ""
        hint = (
            "tf_keras cannot read back all that it wrote of such a model: save it with"
            f"\n{ways}model.save('folder', save_format='tf'), a SavedModel, which converts"
        )
        message = f"{model.path} is a quantization-aware model that does not reload"
        return ModelError("EK-MODEL-018", message, hint)
    texts = [f"{name} raised {type(error).__name__}: {_short(error)}" for name, error in failures]
    names = [next(filter(None, m.groups())) for m in map(UNKNOWN.search, texts) if m]
    if names and len(names) == len(failures):
        return unknown_class(model.path, sorted({f"the class {name}" for name in names}), ())
    hint = "\n".join(f"its own loader, {text}" if len(texts) == 1 else text for text in texts)
    if len(texts) > 1:
        hint = f"it does not state which Keras wrote it, and neither can read it\n{hint}"
    return ModelError("EK-MODEL-008", f"{model.path} cannot be loaded", hint)


def _short(error: Exception) -> str:
    """Return an error's text; of a long one both ends, as Keras has a configuration in between."""
    text = " ".join(str(error).split())
    return text if len(text) <= 600 else f"{text[:250]} … {text[-350:]}"


def _with_weights_hint(error: EdgekitError) -> EdgekitError:
    """Add how to work without a network to Keras's error of a failed download."""
    if "URL fetch failure" not in error.hint and "keras-applications" not in error.hint:
        return error
    way = (
        "without a network, fetch that file elsewhere and name it: weights='path/to/file.h5',"
        "\nor put it into ~/.keras/models; weights=None starts untrained"
    )
    return type(error)(error.code, error.message, f"{error.hint}\n{way}")
