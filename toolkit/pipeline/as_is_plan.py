"""What ``--as-is`` asks of a project and of its file, checked before anything starts."""

from __future__ import annotations

from edgekit.converters import flatbuffer
from edgekit.converters.precisions import precision_in
from edgekit.errors import ModelError, ProjectError
from edgekit.project import ConvertTable, Project
from edgekit.types import Model

# Keys of [convert] that say how a file is made, as a user states them.
MAKING = {
    "precisions": "--precision ([convert] precisions)",
    "recover": "--recover",
    "unroll": "--unroll",
    "flex": "--flex",
    "mixed": "[[convert.mixed]]",
    "custom_operators": "[convert] custom_operators",
}
CONTRADICTS, NO_FILE = "EK-PROJECT-046", "EK-MODEL-042"


def check_keys(project: Project) -> None:
    """Raise :class:`ProjectError` where a project wants a file as it is and made otherwise."""
    table = project.convert
    if not table.as_is:
        if table.reference is not None:
            message = "--reference requires --as-is: else the model itself is the reference"
            hint = "add --as-is ([convert] as_is), which converts nothing, or leave out --reference"
            raise ProjectError(CONTRADICTS, message, hint)
        return
    defaults = ConvertTable()
    stated = [
        option
        for key, option in MAKING.items()
        if key in table.model_fields_set and getattr(table, key) != getattr(defaults, key)
    ]
    if "precisions" in table.model_fields_set and MAKING["precisions"] not in stated:
        stated.insert(0, MAKING["precisions"])
    if project.compress.schemes:
        stated.append(f"[compress] ({', '.join(project.compress.schemes)})")
    if stated:
        hint = "leave them out to take the file as it is; or leave out --as-is ([convert] as_is)"
        message = f"--as-is excludes {', '.join(stated)}: it converts nothing"
        raise ProjectError(CONTRADICTS, message, hint)


def precision_of(project: Project, model: Model | None) -> str:
    """Detect the precision of a file that is taken as it is.

    Raises :class:`ModelError` where it is not a ``.tflite``, :class:`ProjectError` where a target
    wants another precision.
    """
    if model is None or model.kind != "tflite":
        message = f"--as-is requires a .tflite file, and {project.model.source} is not one"
        hint = "leave out --as-is: then .tflite files are made of it"
        raise ModelError(NO_FILE, message, hint)
    precision = precision_in(flatbuffer.read(model.path))
    for name, target in project.targets.items():
        if target.precision not in (None, precision):
            message = (
                f"--as-is converts nothing: {model.path} is {precision}, and [targets.{name}] asks"
                f" for {target.precision}"
            )
            hint = "leave that precision out, or give the float model and leave out --as-is"
            raise ProjectError(CONTRADICTS, message, hint)
    return precision
