"""Options that several commands share, and the project that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.device_tables import read_device_tables
from edgekit.cli.values import as_drop, as_numbers, as_pairs, as_pixels, as_pruning, as_size


class _Precision(click.Option):
    """An option whose help lists the table of precisions, which is read when help is asked for."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        from edgekit.converters.precisions import PRECISIONS

        self.help = f"{', '.join(PRECISIONS)}; repeatable."
        return super().get_help_record(context)


class _Metric(click.Option):
    """An option whose help lists the table of metrics, which is read when help is asked for."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        from edgekit.evaluation.metrics import METRICS

        self.help = f"{', '.join(METRICS)}, top_<k> or file.py:function."
        return super().get_help_record(context)


class _Task(click.Option):
    """An option whose help lists the table of tasks, which is read when help is asked for."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        from edgekit.evaluation.tasks import TASKS

        self.help = f"{', '.join(TASKS)}. Default: detected from labels and outputs."
        return super().get_help_record(context)


def limits(function: Any) -> Any:
    """Add ``--max-drop``, ``--max-size``, ``--precision`` and ``--target``."""
    options = (
        click.option(
            "--max-drop",
            callback=as_drop,
            metavar="DROP",
            help="Largest allowed drop of the metric against the SavedModel: 1%, 1pt or 0.01.",
        ),
        click.option(
            "--max-size",
            callback=as_size,
            metavar="SIZE",
            help="Largest allowed file size, e.g. '150 kB'.",
        ),
        click.option("--precision", "precisions", multiple=True, metavar="NAME", cls=_Precision),
        click.option(
            "--target",
            "targets",
            multiple=True,
            metavar="ID",
            help="A target of `edgekit targets`; repeatable. Default: this host.",
        ),
    )
    return applied(options, function)


def compression(function: Any) -> Any:
    """Add the compression schemes, and how accuracy is recovered after them."""
    options = (
        click.option(
            "--channels",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            metavar="SHARE",
            help="Share of the multiply-accumulates to remove, as whole channels, e.g. 0.5.",
        ),
        click.option(
            "--prune",
            callback=as_pruning,
            metavar="SPARSITY",
            help="Share of the weights to set to zero, e.g. 0.5; or a pattern such as 2:4.",
        ),
        click.option(
            "--cluster",
            type=click.IntRange(min=2),
            metavar="N",
            help="Number of distinct weights that each layer keeps, e.g. 16.",
        ),
        click.option("--qat", is_flag=True, help="Train quantization-aware, for int8."),
        click.option(
            "--distill", is_flag=True, help="Fine-tune on the uncompressed model's predictions too."
        ),
        click.option(
            "--train-data",
            metavar="FILE",
            help="Labelled items to train on, or to fine-tune on after compression.",
        ),
        click.option(
            "--epochs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Epochs of training, or of fine-tuning after each scheme.",
        ),
    )
    return applied(options, function)


# A longer text is not the name of a file.
LONGEST_NAME = 200
# Keys of [evaluate] that have an option of the same name.
EVALUATE = ("task", "metric", "postprocess", "group", "slices", "stream")
# Options of other commands, as they are where nothing is given.
NOTHING: dict[str, Any] = {
    "channels": None,
    "prune": None,
    "cluster": None,
    "qat": False,
    "distill": False,
    "epochs": None,
    "precisions": (),
    "targets": (),
    "representative": None,
    "train_data": None,
}


def model_options(function: Any) -> Any:
    """Add the options of a command that converts: model, data, and where it writes."""
    options = (
        *data_options(),
        click.option(
            "--representative",
            metavar="FILE",
            help="Items to calibrate int8 with. Default: drawn from the data.",
        ),
        *loading_options(),
        click.option("--force", is_flag=True, help="Overwrite files that edgekit did not write."),
    )
    return applied(options, function)


def measured_options(function: Any) -> Any:
    """Add the options of a command that measures models as they are."""
    options = (
        *data_options(),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            help="Evaluate only N items, drawn at random.",
        ),
        click.option("--seed", type=int, default=0, metavar="N", help="Random seed of --limit."),
        *device_options(),
        *cassette_options(),
        *loading_options(),
    )
    return applied(options, function)


def device_options() -> tuple[Any, ...]:
    """Return the options of where to measure, and how the runtime is configured."""
    return (
        click.option(
            "--device",
            "devices",
            multiple=True,
            metavar="NAME",
            help="Where to run: local, local:RUNTIME, local:PACKAGE==VERSION, tflm, ssh://…, or a"
            " name of yours; repeatable. `edgekit devices` lists them.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            metavar="N",
            help="Threads of the runtime. Default: 1.",
        ),
        click.option(
            "--delegate",
            type=click.Choice(["xnnpack", "none"]),
            help="XNNPACK kernels, or the runtime's own. Default: xnnpack.",
        ),
        arena_option(),
    )


def cassette_options() -> tuple[Any, ...]:
    """Return ``--record`` and ``--replay``."""
    path = click.Path(path_type=Path, dir_okay=False)
    return (
        click.option(
            "--record",
            type=path,
            metavar="FILE",
            help="Record the whole exchange with the devices, without secrets.",
        ),
        click.option(
            "--replay",
            type=path,
            metavar="FILE",
            help="Replay a recording instead of using the devices.",
        ),
    )


def arena_option() -> Any:
    """Return ``--arena``."""
    text = "TFLM's tensor arena, e.g. '64 KiB'. Default: as large as the model needs."
    return click.option("--arena", callback=as_size, metavar="SIZE", help=text)


def data_options() -> tuple[Any, ...]:
    """Return the options of the data, its preprocessing and its metric."""
    return (
        click.option(
            "--data",
            "evaluate_data",
            metavar="FILE",
            help="Evaluation items: .npz, .npy, .csv, .tfrecord, a folder, or data.py:test.",
        ),
        click.option(
            "--labels",
            "class_names",
            metavar="FILE|NAMES",
            help="Class names in the order of the outputs: a file with one per line, or cat,dog.",
        ),
        click.option(
            "--label-column",
            metavar="NAME",
            help="Column with the labels of a CSV or TFRecord. Default: y or label.",
        ),
        click.option(
            "--slice",
            "slices",
            multiple=True,
            metavar="COLUMN",
            help="Column by whose values the metric is also broken down; repeatable.",
        ),
        click.option(
            "--group",
            metavar="COLUMN",
            help="Column of groups: items of one group count as one, e.g. windows of a clip.",
        ),
        click.option(
            "--rescale",
            callback=as_numbers,
            metavar="NUMBER",
            help="Factor for raw values: a number, a fraction such as 1/255, or one per channel,"
            " separated by commas.",
        ),
        click.option(
            "--offset", callback=as_numbers, metavar="NUMBER", help="Added after --rescale."
        ),
        click.option(
            "--mean",
            callback=as_numbers,
            metavar="NUMBER",
            help="Mean, subtracted after --offset: a number, or one per channel.",
        ),
        click.option(
            "--std",
            callback=as_numbers,
            metavar="NUMBER",
            help="Standard deviation, divided by after --mean: a number, or one per channel.",
        ),
        click.option(
            "--resize",
            callback=as_pixels,
            metavar="HxW",
            help="Height and width to resize images to. Default: the model's.",
        ),
        click.option(
            "--crop",
            type=click.Choice(["center"]),
            help="Keep the aspect ratio and crop the centre, instead of stretching.",
        ),
        click.option(
            "--annotations",
            metavar="FILE|FOLDER",
            help="Boxes of the images: COCO JSON, or a folder of VOC or YOLO files; with"
            " --task text their transcripts: a folder of .txt files.",
        ),
        click.option("--task", metavar="NAME", cls=_Task),
        click.option(
            "--alphabet",
            metavar="TOKENS|FILE.txt",
            help="Tokens of texts in the order of the outputs: 'abc ', or a file with one per"
            " line.",
        ),
        click.option(
            "--blank",
            type=click.Choice(["first", "last"]),
            help="Position of CTC's blank among the outputs.",
        ),
        click.option(
            "--color",
            type=click.Choice(["rgb", "bgr", "grayscale"]),
            help="Colour format that images are read as. Default: the model's channels, as rgb.",
        ),
        click.option(
            "--layout",
            type=click.Choice(["nhwc", "nchw"]),
            help="Order of the data's dimensions, which is converted to the model's.",
        ),
        click.option("--metric", metavar="NAME", cls=_Metric),
        click.option(
            "--metric-output",
            metavar="NAME",
            help="Output whose metric is the main one, where there are several.",
        ),
        click.option(
            "--postprocess",
            metavar="FILE:FUNCTION",
            help="Your function from the outputs, by name, to what the metric takes.",
        ),
        click.option(
            "--stream",
            is_flag=True,
            help="Carry the model's state from item to item, in the data's order.",
        ),
        click.option(
            "--stream-by",
            metavar="COLUMN",
            help="Likewise, anew where the column has another value: a clip's number.",
        ),
        click.option(
            "--state",
            "states",
            multiple=True,
            metavar="IN=OUT",
            callback=as_pairs,
            help="An input that is fed with what an output gave before; repeatable. Default: as"
            " their names tell; 'none' for none.",
        ),
    )


def loading_options() -> tuple[Any, ...]:
    """Return the options of how the model is loaded, and where results go."""
    return (
        click.option(
            "--output",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder for build/, dist/ and .edgekit/. Default: the project's.",
        ),
        click.option("--weights", metavar="FILE", help="Weights of an architecture MODEL.json."),
        click.option(
            "--signature",
            metavar="NAME",
            help="Signature of a SavedModel or .tflite. Default: serving_default, or the only one.",
        ),
        click.option("--custom-objects", metavar="FILE", help="Python file with your own layers."),
        click.option(
            "--trust",
            is_flag=True,
            help="Load a model file that runs code of its own, such as Lambda layers.",
        ),
    )


def applied(options: tuple[Any, ...], function: Any) -> Any:
    """Add options to a command, in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def project_of(options: dict[str, Any]) -> Any:
    """Return the project file with the options laid over it, or a project around a model.

    Devices that ``--device`` names may be those of this folder's project file in either case.
    """
    from edgekit.project import FILE, Project

    file = options["project_file"]
    table: dict[str, Any] = {}
    root, origin = Path.cwd(), None
    if options["model"] is None or file is not None:
        base = Project.load(file or FILE)
        table = base.table
        root, origin = base.root, base.origin
    else:
        table = read_device_tables(FILE, options.get("devices") or (), bool(options.get("quiet")))
    _overlay(table, options)
    # The file was read already: what is wrong now, an option said.
    return Project.parse(table, root, origin)


def data_of(options: dict[str, Any]) -> Any:
    """Return the data table that the options make, without a project."""
    from pydantic import ValidationError

    from edgekit.project import DataTable, explain

    table: dict[str, Any] = {}
    _overlay(table, options)
    try:
        return DataTable.model_validate(table["data"])
    except ValidationError as error:
        raise explain(error, None, "") from error


def _overlay(table: dict[str, Any], options: dict[str, Any]) -> None:
    data = dict(table.get("data") or {})
    if options["model"]:
        table["model"] = {**(table.get("model") or {}), "source": _absolute(options["model"])}
    for key in ("weights", "custom_objects", "signature"):
        if options[key]:
            value = options[key] if key == "signature" else str(Path(options[key]).resolve())
            table["model"] = {**(table.get("model") or {}), key: value}
    for key, option in {"evaluate": "evaluate_data", "train": "train_data"}.items():
        if options[option]:
            data[key] = _absolute(options[option])
    if options["representative"]:
        data["representative"] = {"from": _absolute(options["representative"])}
    preprocess = dict(data.get("preprocess") or {})
    if options["rescale"] is not None:
        preprocess["scale"] = options["rescale"]
    for key in ("offset", "mean", "std", "resize", "crop", "color", "layout"):
        if options.get(key) is not None:
            preprocess[key] = options[key]
    if options.get("label_column"):
        data["label_column"] = options["label_column"]
    if options.get("class_names"):
        data["labels"] = _class_names(options["class_names"])
    if options.get("annotations"):
        data["annotations"] = str(Path(options["annotations"]).resolve())
    table["data"] = {**data, "preprocess": preprocess}
    evaluate = {key: options.get(key) for key in EVALUATE}
    evaluate["stream"] = options.get("stream_by") or evaluate["stream"]
    stated: dict[str, Any] = {key: value for key, value in evaluate.items() if value}
    if text := {key: options[key] for key in ("alphabet", "blank") if options.get(key)}:
        stated["text"] = {**((table.get("evaluate") or {}).get("text") or {}), **_alphabet(text)}
    if options.get("states") is not None:
        stated["state"] = options["states"]
    if options.get("metric_output"):
        stated["output"] = options["metric_output"]
    if stated:
        table["evaluate"] = _evaluated({**(table.get("evaluate") or {}), **stated}, options)
    compress = _schemes(options)
    if compress:
        table["compress"] = {**(table.get("compress") or {}), **compress}
    if options["epochs"]:
        finetuning = options["model"] is not None and table.get("compress")
        section, key = ("compress", "finetune_epochs") if finetuning else ("train", "epochs")
        table[section] = {**(table.get(section) or {}), key: options["epochs"]}
    convert = dict(table.get("convert") or {})
    if options["precisions"]:
        convert["precisions"] = list(options["precisions"])
    for flag in ("unroll", "metadata", "flex", "as_is"):
        if options.get(flag):
            convert[flag] = True
    if options.get("reference"):
        convert["reference"] = _absolute(options["reference"])
    if options.get("recover"):
        convert["recover"] = convert.get("recover") or True
    if convert:
        table["convert"] = convert
    if options["targets"]:
        known = table.get("targets") or {}
        table["targets"] = {name: known.get(name, {}) for name in options["targets"]}


def _evaluated(table: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the table ``[evaluate]``, where options override its settings of the main output."""
    outputs = dict(table.get("outputs") or {})
    headline = table.get("output") or next(iter(outputs), None)
    if headline in outputs:
        stated = {key for key in ("metric", "postprocess") if options.get(key)}
        own = {key: value for key, value in outputs[headline].items() if key not in stated}
        outputs[headline] = own
    return {**table, "outputs": outputs} if outputs else table


def _schemes(options: dict[str, Any]) -> dict[str, Any]:
    """Return the table ``[compress]`` that the options state."""
    table: dict[str, Any] = {}
    if options["channels"]:
        table["channels"] = {"macs": options["channels"]}
    if options["prune"]:
        table["prune"] = options["prune"]
    if options["cluster"]:
        table["cluster"] = {"clusters": options["cluster"]}
    if options["qat"]:
        table["quantization_aware"] = True
    if options["distill"]:
        table["finetune"] = {"distill": True}
    return table


def _alphabet(text: dict[str, Any]) -> dict[str, Any]:
    """Return the table ``[evaluate.text]``; a file is relative to the current folder."""
    alphabet = text.get("alphabet")
    if alphabet and len(alphabet) < LONGEST_NAME and Path(alphabet).is_file():
        return {**text, "alphabet": str(Path(alphabet).resolve())}
    return text


def _class_names(text: str) -> str | list[str]:
    """Return a file of names, relative to the current folder, or the names themselves."""
    if Path(text).exists() or "," not in text:
        return str(Path(text).resolve())
    return [name.strip() for name in text.split(",")]


def _absolute(source: str) -> str:
    """Resolve a path of the command line, which is relative to the current folder."""
    path, colon, function = source.rpartition(":")
    if colon and path.endswith(".py"):
        return f"{Path(path).resolve()}:{function}"
    if colon and not Path(source).exists():
        return source
    return str(Path(source).resolve())
