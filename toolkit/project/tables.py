"""The tables of ``edgekit.toml``, with defaults for what it does not say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edgekit.project.boxes import BoxesTable
from edgekit.project.budgets import Budgets
from edgekit.project.compress import switched
from edgekit.project.preprocess import PreprocessTable
from edgekit.project.table import Table
from edgekit.project.text import TextTable
from edgekit.project.units import Size
from edgekit.types import DataTypes, Feature

# At least two parts: what Android and Apple both take.
APP_ID = r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$"


class ModelTable(Table):
    """``[model]``: the model, and what is written about it."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """What it is called in build/, bundles and the lock. Default: as its file.

    ``name = "digits"``
    """
    version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    """Its version, in the bundles' names. Default: of the model's hash. ``version = "0.1.0"``"""
    source: str
    """The model: a .keras, an .h5, a SavedModel folder, an architecture .json, a float .tflite, or
    a function that builds one.

    ``source = "model.py:build"``
    """
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """What the function is called with. ``arguments = { units = 64 }``"""
    weights: str | None = None
    """Weights to load into an architecture, where its file has none.

    ``weights = "model.weights.h5"``
    """
    signature: str | None = None
    """Which signature of a SavedModel or a .tflite is meant. ``signature = "serving_default"``"""
    custom_objects: str | None = None
    """A file of yours with the custom layers of the model. ``custom_objects = "layers.py"``"""
    twins: dict[str, str] = Field(default_factory=dict)
    """For compression: a tf_keras layer with the same weights, by custom layer of Keras 3.

    ``twins = { Gate = "layers.py:GateKeras2" }``
    """
    description: str | None = None
    """A sentence for the manifest and the file's metadata.

    ``description = "handwritten digits of 8 x 8 pixels"``
    """
    author: str | None = None
    """Who made it, likewise. ``author = "Ada Lovelace"``"""
    license: str | None = None
    """The model's licence, likewise. ``license = "Apache-2.0"``"""


class RepresentativeTable(Table):
    """``[data] representative``: the items that calibrate int8."""

    from_: str = Field(alias="from")
    """Items that calibrate int8: "train", "evaluate", or data of their own. ``from = "train"``"""
    samples: int = Field(default=200, ge=2)
    """How many of them. ``samples = 200``"""


Category = Annotated[str, Field(min_length=1)]
ColumnType = (
    Literal["float", "integer", "ignore"] | Annotated[tuple[Category, ...], Field(min_length=2)]
)


class FeatureTable(Table):
    """``[data.features]``: how one feature of a TFRecord is read."""

    shape: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Shape of an item's values. Default: one value. ``shape = [28, 28, 1]``"""
    dtype: Literal[
        "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "image"
    ] = "float32"
    """Kind of its numbers, also of raw bytes; "image": an encoded picture. ``dtype = "uint8"``"""
    default: float | None = None
    """Value where a record lacks the feature. Default: that is an error. ``default = 0``"""
    name: str | None = None
    """What the array is called. Default: as the feature. ``name = "x"``"""


class DataTable(Table):
    """``[data]``: the items, and what is done to them before the model."""

    train: str | None = None
    """Labelled items to train and to fine-tune on. ``train = "data.py:train"``"""
    evaluate: str | None = None
    """Labelled items that every candidate is judged by. ``evaluate = "test.npz"``"""
    validation: Annotated[float, Field(gt=0, le=0.5)] | str | None = None
    """What training is validated on: a share of train, or data of its own. ``validation = 0.1``"""
    group: str | None = None
    """Column whose groups stay together when a share is set aside. ``group = "patient"``"""
    representative: RepresentativeTable | None = None
    """Items that calibrate int8. Default: 200 items, a fifth at most, set apart from evaluate.

    ``representative = { from = "train", samples = 200 }``
    """
    preprocess: PreprocessTable = Field(default_factory=PreprocessTable)
    """What is done to raw items before the model. ``preprocess = { scale = "1/255" }``"""
    labels: tuple[str, ...] | str | None = None
    """Class names in the order of the outputs, or a file with one per line.

    ``labels = ["cat", "dog"]``
    """
    label_column: str | None = None
    """Column with the labels of a CSV or TFRecord. Default: y or label.

    ``label_column = "quality"``
    """
    columns: dict[str, ColumnType] = Field(default_factory=dict)
    """What columns of a CSV hold: "float", "integer", "ignore", or the names of categories, which
    become a value each: 1 or 0. Default: numbers.

    ``columns = { island = ["Biscoe", "Dream"], year = "ignore" }``
    """
    missing: Literal["refuse", "drop"] = "refuse"
    """Rows of a CSV without a value in a column that is used: left out, or an error.

    ``missing = "drop"``
    """
    features: dict[str, FeatureTable] = Field(default_factory=dict)
    """What features of a TFRecord hold; where any is named, no others are read. Default: numbers as
    they are, and encoded pictures.

    ``features = { image_raw = { shape = [28, 28, 1], dtype = "uint8", name = "x" } }``
    """
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Length of the sounds of a folder of .wav. Default: the most common. ``seconds = 1.0``"""
    annotations: str | None = None
    """Boxes of the pictures: COCO JSON, or a folder of VOC or YOLO files; for texts a folder of
    .txt files.

    ``annotations = "instances.json"``
    """
    train_annotations: str | None = None
    """The same, of the pictures to train on and to validate on.

    ``train_annotations = "train.json"``
    """

    @property
    def types(self) -> DataTypes:
        """What is stated of columns and features."""
        features = {name: Feature(**one.model_dump()) for name, one in self.features.items()}
        return DataTypes(self.columns, self.missing == "drop", features)


class RecoverTable(Table):
    """``[convert] recover``: how long the search for operators to keep in float goes on."""

    evaluations: int = Field(default=24, ge=1)
    """How many files with some operators in float are tried at most. ``evaluations = 24``"""


class MixedTable(Table):
    """One rule of a recipe; of the rules that fit an operator the last decides."""

    precision: str
    """What the operators become: float32, float16, int8, int16x8, dynamic, int8-weights, int4 or
    int4-block32.

    ``precision = "int8"``
    """
    operator: str = ""
    """A kind of operator. Default: any. ``operator = "SOFTMAX"``"""
    name: str = ""
    """A regular expression, found in the name of the operator's output. Default: any.

    ``name = "head/"``
    """


class ConvertTable(Table):
    """``[convert]``: what is made of the model."""

    precisions: tuple[str, ...] = Field(
        default=("float32", "float16", "dynamic", "int8"), min_length=1
    )
    """A candidate is made of each. ``precisions = ["float32", "int8"]``"""
    unroll: bool = False
    """Unroll recurrent layers: a larger file, which int8 can calibrate. ``unroll = true``"""
    recover: Annotated[RecoverTable | None, BeforeValidator(switched)] = None
    """Where int8 loses too much, keep as few operators as possible in float.

    ``recover = { evaluations = 24 }``
    """
    metadata: bool = False
    """Write TFLite Metadata into the files: normalization, labels, names. ``metadata = true``"""
    mixed: tuple[MixedTable, ...] = ()
    """The recipe of precision mixed: rules by operator.

    ``mixed = [{ precision = "int8" }, { operator = "SOFTMAX", precision = "float32" }]``
    """
    flex: bool = False
    """Allow TensorFlow's own operators: a larger app, not tested on this host. ``flex = true``"""
    custom_operators: tuple[str, ...] = ()
    """Custom operators that the app's runtime registers. ``custom_operators = ["MyOperator"]``"""
    as_is: bool = False
    """Convert nothing: check and bundle a .tflite of any precision. ``as_is = true``"""
    reference: str | None = None
    """With as_is: the model that the file is compared with. ``reference = "float.tflite"``"""

    @property
    def judged_by_itself(self) -> bool:
        """Whether the file is its own reference, so that nothing can be lost."""
        return self.as_is and self.reference is None


class OutputTable(Table):
    """How one output is judged; ``labels`` names its array, by default called like the output."""

    task: str | None = None
    """What this output is for. Default: detected from labels and output. ``task = "regression"``"""
    metric: str | None = None
    """Its metric. Default: the task's. ``metric = "mae"``"""
    postprocess: str | None = None
    """Your function from the outputs, by name, to what the metric takes.

    ``postprocess = "mine.py:positive"``
    """
    labels: str | None = None
    """The array of its labels, where it is not called like the output. ``labels = "amount"``"""


class EvaluateTable(Table):
    """``[evaluate]``: how the model is judged."""

    task: str | None = None
    """What the model does. Default: detected from labels and outputs.

    ``task = "classification"``
    """
    metric: str | None = None
    """What decides: a name of the metrics' table, or your function. Default: the task's.

    ``metric = "top_3"``
    """
    output: str | None = None
    """The output whose metric is the headline. ``output = "digit"``"""
    postprocess: str | None = None
    """Your function from the outputs, by name, to what the metric takes.

    ``postprocess = "mine.py:boxes"``
    """
    slices: tuple[str, ...] = ()
    """Columns by whose values the metric is also broken down. ``slices = ["camera"]``"""
    group: str | None = None
    """Column of groups: items of one group count as one, such as windows of a clip.

    ``group = "clip"``
    """
    stream: bool | str = False
    """Carry the model's state from item to item: true, or the column that names the streams.

    ``stream = "clip"``
    """
    state: dict[str, str] | None = None
    """Inputs that are fed with what an output gave before. Default: as their names tell; {} for
    none.

    ``state = { input_2 = "Identity_1" }``
    """
    outputs: dict[str, OutputTable] = Field(default_factory=dict)
    """How single outputs are judged, by their names. ``outputs = { ink = { metric = "mae" } }``"""
    boxes: BoxesTable = Field(default_factory=BoxesTable)
    """How a detector's outputs are read. ``boxes = { format = "ssd", anchors = "anchors.npy" }``"""
    text: TextTable = Field(default_factory=TextTable)
    """How a text model's outputs are read. ``text = { alphabet = "abc '", blank = "first" }``"""


class BundleTable(Table):
    """What bundles hold besides the model: their kinds, how the app is called, the user's files.

    ``licence`` is a file of the project's, or an SPDX id; ``sign`` the file of a private key;
    ``delta_from`` an older bundle or model, which updates are measured from.
    """

    kinds: tuple[str, ...] = ()
    """Kinds of bundle to make. Default: the target's first. ``kinds = ["linux-python"]``"""
    app_id: str | None = Field(default=None, pattern=APP_ID)
    """Name of the app's package. Default: com.example.NAME. ``app_id = "org.example.digits"``"""
    namespace: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Namespace of source code. Default: the name as an identifier. ``namespace = "digits"``"""
    licence: str | None = Field(default=None, min_length=1)
    """An SPDX id, or a file of the project. ``licence = "Apache-2.0"``"""
    extra_files: tuple[str, ...] = ()
    """Files and folders below the project that are packed too. ``extra_files = ["notes/"]``"""
    sign: str | None = None
    """File of the private key that signs the bundle. ``sign = "key.pem"``"""
    delta_from: str | None = Field(default=None, min_length=1)
    """An older bundle or model, from which the update is made and measured.

    ``delta_from = "dist/digits-0.0.9-linux-x86_64.tar.gz"``
    """


class LimitsTable(Table):
    """``[limits]``: what a process may take before it is ended."""

    seconds: float | None = Field(default=None, gt=0)
    """How long one job of TensorFlow, or of a runner, may take. ``seconds = 600``"""
    memory: Size | None = None
    """How much resident memory a worker or a runner may use. ``memory = "8 GB"``"""


class TargetTable(Table):
    """A target of the catalog, or the project's own, whose ``file`` describes it."""

    file: str | None = None
    """The TOML of a target of your own. ``file = "solar-roof.toml"``"""
    precision: str | None = None
    """What ships. Default: the smallest candidate that passes and runs on every runtime of the
    target.

    ``precision = "int8"``
    """
    device: str | None = None
    """Where this target is measured. ``device = "ssh://pi@raspberrypi.local"``"""
    any_device: bool = False
    """Accept the figures of a machine that is not the target; the verdict says so.

    ``any_device = true``
    """
    budgets: Budgets = Field(default_factory=Budgets)
    """What the shipped candidate must keep to. ``budgets = { size = "150 kB" }``"""
