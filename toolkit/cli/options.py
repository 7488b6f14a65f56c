"""The options of commands, in groups that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgekit.cli import completers
from edgekit.cli.help import GENERAL, Option, section
from edgekit.cli.values import (
    Real,
    Whole,
    as_drop,
    as_numbers,
    as_pairs,
    as_pixels,
    as_pruning,
    as_size,
    as_time,
)

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
COUNT = Whole(min=1)
# Titles of the help that several groups stand under.
OUTPUT, DEVICE, CI = "Output", "Where it runs", "For CI"


def option(
    flag: str, text: Any, parameter: str | None = None, **attributes: Any
) -> Callable[[F], F]:
    """Declare an option: ``--flag METAVAR``, its help, and its parameter if named otherwise.

    The help is a function where it is computed when it is shown.
    """
    flag, _, metavar = flag.partition(" ")
    *short, flag = flag.split("/")
    names = (*short, flag) if parameter is None else (*short, flag, parameter)
    return click.option(*names, metavar=metavar or None, text=text, cls=Option, **attributes)


def flag(name: str, text: str, parameter: str | None = None) -> Callable[[F], F]:
    """Declare an option without a value."""
    return option(name, text, parameter, is_flag=True)


def group(*options: Any) -> Callable[[F], F]:
    """Return a decorator that adds options, and groups of them, to a command in this order."""

    def add(function: F) -> F:
        for each in reversed(options):
            function = each(function)
        return function

    return add


def _precisions(context: click.Context) -> str:
    from edgekit.converters.precisions import PRECISIONS

    return f"{', '.join(PRECISIONS)}; repeatable."


def _metrics(context: click.Context) -> str:
    from edgekit.evaluation.metrics import METRICS

    return f"{', '.join(METRICS)}, top_<k> or file.py:function."


def _tasks(context: click.Context) -> str:
    from edgekit.evaluation.tasks import TASKS

    return f"{', '.join(TASKS)}. Default: detected from labels and outputs."


def _devices(context: click.Context) -> str:
    from edgekit.targets.devices.names import here
    from edgekit.targets.devices.transports import SCHEMES, schemes

    local = ", ".join(here())
    forms = ", ".join(SCHEMES[name].form for name in schemes())
    return (
        f"Where to run; repeatable. local; local:RUNTIME ({local}); local:PACKAGE==VERSION; tflm;"
        f" {forms}, with #RUNTIME where wanted; or a name of [devices]. `edgekit devices` lists"
        " what works now."
    )


def _project_file(context: click.Context) -> str:
    names = {parameter.name for parameter in context.command.params}
    if "models" in names:
        return "The project file. Default: none."
    alone = ", unless MODEL is given" if "model" in names else ""
    return f"The project file. Default: ./edgekit.toml{alone}."


common = section(
    GENERAL,
    flag("--json", "Print JSON on stdout, everything else on stderr.", "as_json"),
    flag("-v/--verbose", "Print more details."),
    flag("-q/--quiet", "Print only the verdict, and what is red."),
)
project_option = section(
    GENERAL,
    option(
        "--project FILE",
        _project_file,
        "project_file",
        type=click.Path(path_type=Path),
        shell_complete=completers.project_file,
    ),
)
model_option = section(
    GENERAL,
    option(
        "--model NAME",
        "Only this one of the project file's [models]; repeatable where a command takes several.",
        "model_names",
        multiple=True,
        shell_complete=completers.named_model,
    ),
)
force_option = flag("--force", "Overwrite files that edgekit did not write.")
file_signature_option = option(
    "--signature NAME",
    "Inspect only this signature, as it converts. Default: the whole file.",
)
limits = section(
    "Limits, and what ships",
    option(
        "--max-drop DROP",
        "Largest allowed drop of the metric against the SavedModel: 1%, 1pt or 0.01.",
        callback=as_drop,
    ),
    option("--max-size SIZE", "Largest allowed file size, e.g. '150 kB'.", callback=as_size),
    option(
        "--max-latency TIME",
        "Largest allowed median latency on the target's own device, e.g. '5 ms'.",
        callback=as_time,
    ),
    option(
        "--max-arena SIZE",
        "Largest allowed tensor arena of TFLM, e.g. '64 KiB'.",
        callback=as_size,
    ),
    option(
        "--precision NAME",
        _precisions,
        "precisions",
        multiple=True,
        shell_complete=completers.precision,
    ),
    option(
        "--target ID",
        "A target of `edgekit targets`; repeatable. Default: this host.",
        "targets",
        multiple=True,
        shell_complete=completers.target,
    ),
)
compression = section(
    "Compression and training",
    option(
        "--channels SHARE",
        "Share of the multiply-accumulates to remove, as whole channels, e.g. 0.5.",
        type=Real(0, 1, min_open=True, max_open=True),
    ),
    option(
        "--prune SPARSITY",
        "Share of the weights to set to zero, e.g. 0.5; or a pattern such as 2:4.",
        callback=as_pruning,
    ),
    option(
        "--cluster N",
        "Number of distinct weights that each layer keeps, e.g. 16.",
        type=Whole(min=2),
    ),
    flag("--qat", "Train quantization-aware, for int8."),
    flag("--distill", "Fine-tune on the uncompressed model's predictions too."),
    option(
        "--train-data FILE",
        "Labelled items to train on, or to fine-tune on after compression.",
        shell_complete=completers.data,
    ),
    option("--epochs N", "Epochs of training, or of fine-tuning after each scheme.", type=COUNT),
)
data_source_options = section(
    "Data",
    option(
        "--data FILE",
        "Evaluation items: .npz, .npy, .csv, .tfrecord, a folder, or data.py:test.",
        "evaluate_data",
        shell_complete=completers.data,
    ),
    option(
        "--labels FILE|NAMES",
        "Class names in the order of the outputs: a file with one per line, or cat,dog.",
        "class_names",
        shell_complete=completers.files(".txt"),
    ),
    option(
        "--label-column NAME",
        "Column with the labels of a CSV or TFRecord. Default: y or label.",
    ),
    option(
        "--slice COLUMN",
        "Column by whose values the metric is also broken down; repeatable.",
        "slices",
        multiple=True,
    ),
    option(
        "--group COLUMN",
        "Column of groups: items of one group count as one, e.g. windows of a clip.",
    ),
    option(
        "--annotations FILE|FOLDER",
        "Boxes of the images: COCO JSON, or a folder of VOC or YOLO files; with"
        " --task text their transcripts: a folder of .txt files.",
    ),
)
preparation_options = section(
    "Preparation of the items",
    option(
        "--rescale NUMBER",
        "Factor for raw values: a number, a fraction such as 1/255, or one per channel,"
        " separated by commas.",
        callback=as_numbers,
    ),
    option("--offset NUMBER", "Added after --rescale.", callback=as_numbers),
    option(
        "--mean NUMBER",
        "Mean, subtracted after --offset: a number, or one per channel.",
        callback=as_numbers,
    ),
    option(
        "--std NUMBER",
        "Standard deviation, divided by after --mean: a number, or one per channel.",
        callback=as_numbers,
    ),
    option(
        "--resize HxW",
        "Height and width to resize images to. Default: the model's.",
        callback=as_pixels,
    ),
    option(
        "--crop",
        "Keep the aspect ratio and crop the centre, instead of stretching.",
        type=click.Choice(["center"]),
    ),
    option(
        "--color",
        "Colour format that images are read as. Default: the model's channels, as rgb.",
        type=click.Choice(["rgb", "bgr", "grayscale"]),
    ),
    option(
        "--layout",
        "Order of the data's dimensions, which is converted to the model's.",
        type=click.Choice(["nhwc", "nchw"]),
    ),
)
judged_options = section(
    "Task and metric",
    option("--task NAME", _tasks, shell_complete=completers.task),
    option(
        "--alphabet TOKENS|FILE.txt",
        "Tokens of texts in the order of the outputs: 'abc ', or a file with one per line.",
    ),
    option(
        "--blank",
        "Position of CTC's blank among the outputs.",
        type=click.Choice(["first", "last"]),
    ),
    option("--metric NAME", _metrics, shell_complete=completers.metric),
    option("--metric-output NAME", "Output whose metric is the main one, where there are several."),
    option(
        "--postprocess FILE:FUNCTION",
        "Your function from the outputs, by name, to what the metric takes.",
        shell_complete=completers.files(".py", functions=True),
    ),
)
stream_options = section(
    "Streams and states",
    flag("--stream", "Carry the model's state from item to item, in the data's order."),
    option(
        "--stream-by COLUMN",
        "Likewise, anew where the column has another value: a clip's number.",
    ),
    option(
        "--state IN=OUT",
        "An input that is fed with what an output gave before; repeatable. Default: as"
        " their names tell; 'none' for none.",
        "states",
        multiple=True,
        callback=as_pairs,
    ),
)
data_options = group(data_source_options, preparation_options, judged_options, stream_options)
output_option = option(
    "--output FOLDER",
    "Folder for build/, dist/ and .edgekit/. Default: the project's.",
    type=FOLDER,
)
opening_options = section(
    "Model",
    option(
        "--weights FILE",
        "Weights of an architecture MODEL.json.",
        shell_complete=completers.files(".h5"),
    ),
    option(
        "--signature NAME",
        "Signature of a SavedModel or .tflite. Default: serving_default, or the only one.",
    ),
    option(
        "--custom-objects FILE",
        "Python file with your own layers.",
        shell_complete=completers.files(".py"),
    ),
    flag("--trust", "Load a model file that runs code of its own, such as Lambda layers."),
)
loading_options = group(opening_options, section(OUTPUT, output_option))
device_option = section(
    DEVICE,
    option(
        "--device NAME",
        _devices,
        "devices",
        multiple=True,
        shell_complete=completers.device,
    ),
)
arena_option = section(
    DEVICE,
    option(
        "--arena SIZE",
        "TFLM's tensor arena, e.g. '64 KiB'. Default: as large as the model needs.",
        callback=as_size,
    ),
)
cassette_options = section(
    DEVICE,
    option(
        "--record FILE",
        "Record the whole exchange with the devices, without secrets.",
        type=FILE,
    ),
    option("--replay FILE", "Replay a recording instead of using the devices.", type=FILE),
)
# Of a command that converts: model, data, and where it writes.
model_options = group(
    data_options,
    section(
        "Data",
        option(
            "--representative FILE",
            "Items to calibrate int8 with. Default: drawn from the data.",
            shell_complete=completers.data,
        ),
    ),
    loading_options,
    section(OUTPUT, force_option),
)
# Of a command that measures models as they are.
measured_options = group(
    data_options,
    section(
        "Data",
        option("--limit N", "Evaluate only N items, drawn at random.", type=COUNT),
        option("--seed N", "Random seed of --limit.", type=int, default=0),
    ),
    device_option,
    section(
        DEVICE,
        option("--threads N", "Threads of the runtime. Default: 1.", type=COUNT),
        option(
            "--delegate",
            "XNNPACK kernels, or the runtime's own. Default: xnnpack.",
            type=click.Choice(["xnnpack", "none"]),
        ),
    ),
    arena_option,
    cassette_options,
    loading_options,
)
