"""What a run is to do: the project and the options together, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.converters.precisions import PRECISIONS
from edgekit.data import check_data_file, check_same_classes, class_folders
from edgekit.errors import DataError, DeviceError, ModelError, ProjectError
from edgekit.evaluation import metrics
from edgekit.evaluation.tasks import TASKS
from edgekit.gate import Rules, Waivers, check_limits
from edgekit.gate.limits import check_operators, stated_budgets
from edgekit.models.source import identify
from edgekit.pipeline import as_is_plan
from edgekit.pipeline.planned_files import PlannedFile, calibrates, check_recipes, planned_files
from edgekit.project import Budgets, Project, TargetTable
from edgekit.project.tables import ModelTable
from edgekit.targets import catalog
from edgekit.types import Model
from edgekit.usercode import fingerprint, is_file, is_reference

LOGS = "logs"


@dataclass(frozen=True)
class Options:
    """What the command line adds to a project.

    ``output`` is the root of what a run leaves. ``max_latency``, of the median, is in nanoseconds,
    ``max_size`` and ``max_arena`` in bytes. ``precisions_asked`` and ``targets_asked`` say
    that ``--precision`` and ``--target`` were given: then the budgets of the command line concern
    every precision asked for, or the targets. ``dry_run`` compresses in one shot, to see what would
    be done, and keeps nothing. ``limit`` judges so many items at most, drawn with ``seed``.
    What is measured on devices is recorded into the file ``record``, or played back from
    ``replay``. ``command`` repeats the run, where it was a command.
    ``layers`` compares every candidate layer by layer.
    """

    output: Path | None = None
    evaluate: bool = True
    force: bool = False
    trust: bool = False
    max_drop: float | None = None
    max_size: int | None = None
    max_latency: float | None = None
    max_arena: int | None = None
    precisions_asked: bool = False
    targets_asked: bool = False
    dry_run: bool = False
    limit: int | None = None
    seed: int = 0
    record: Path | None = None
    replay: Path | None = None
    command: str = ""
    layers: bool = False


@dataclass(frozen=True)
class Plan:
    """A checked project: where its model comes from, what is made of it, and how it is judged.

    ``model`` is absent where a function of the user builds it.
    """

    project: Project
    options: Options
    output: Path
    model: Model | None
    name: str
    precisions: tuple[str, ...]
    targets: Mapping[str, TargetTable]

    @property
    def logs(self) -> Path:
        """The folder that TensorBoard is pointed to: it has a folder for each training."""
        return self.output / "build" / self.name / LOGS

    @property
    def fine_tunes(self) -> bool:
        """Whether models are trained after they are compressed."""
        compress = self.project.compress
        trains = compress.finetune_epochs > 0 and self.project.data.train is not None
        return bool(compress.schemes) and trains and not self.options.dry_run

    @classmethod
    def of(cls, project: Project, options: Options) -> Plan:
        """Check a project. Raises :class:`ProjectError`, ModelError, DataError or DeviceError."""
        for precision in project.convert.precisions:
            if precision not in PRECISIONS:
                raise project.unknown("precision", precision, PRECISIONS)
        for target in project.targets.values():
            if target.precision is not None and target.precision not in PRECISIONS:
                raise project.unknown("precision", target.precision, PRECISIONS)
        as_is_plan.check_keys(project)
        _check_task(project)
        _check_metric(project)
        _check_limits(project, options)
        check_budgets(project)
        model = _model(project, options.trust)
        precisions = tuple(dict.fromkeys(_precisions(project, model)))
        _check_recovery(project, options, precisions)
        _check_unroll(project, model)
        check_recipes(precisions, project)
        _check_data(project, options, precisions)
        return cls(
            project=project,
            options=options,
            output=(options.output or project.root).resolve(),
            model=model,
            name=_name(project),
            precisions=precisions,
            targets=_targets(project),
        )

    @classmethod
    def of_model(cls, project: Project, options: Options) -> Plan:
        """Check what makes the model alone: nothing is converted or judged. Raises as ``of``."""
        model = _model(project, options.trust)
        _check_unroll(project, model)
        named = project.data
        validation = named.validation if isinstance(named.validation, str) else None
        _check_files(project, (named.train, validation, named.evaluate))
        return cls(
            project=project,
            options=options,
            output=(options.output or project.root).resolve(),
            model=model,
            name=_name(project),
            precisions=(),
            targets={},
        )

    @property
    def all_precisions_count(self) -> bool:
        """Whether the verdict concerns every precision, not what targets ship."""
        options = self.options
        return options.precisions_asked and not options.targets_asked and not self.project.targets

    @property
    def calibrated(self) -> bool:
        """Whether a precision or a compression scheme takes representative items."""
        return bool(self.project.compress.schemes) or any(
            calibrates(precision, self.project) for precision in self.precisions
        )

    @property
    def planned_files(self) -> tuple[PlannedFile, ...]:
        """The files to make: each precision as the targets take it."""
        return planned_files(self.precisions, self.targets, self.project)

    def check_limits(self, metric: metrics.Metric) -> None:
        """Raise :class:`ProjectError` where a limit on the metric cannot be what was meant."""
        stated = stated_budgets(self.targets, self.project.candidates)
        check_limits(metric.name, metric.bounded, self.options.max_drop, stated)

    def rules(self, metric: metrics.Metric) -> Rules:
        return Rules(
            metric=metric.name,
            bounded=metric.bounded,
            higher_is_better=metric.direction == "higher",
            max_drop=self.options.max_drop,
            max_size=self.options.max_size,
            max_latency=self.options.max_latency,
            max_arena=self.options.max_arena,
            by_itself=self.project.convert.judged_by_itself,
            waivers=Waivers(tuple(table.waiver for table in self.project.waiver)),
        )


def _model(project: Project, trust: bool) -> Model | None:
    """Identify the model's file; None where a function of the user's builds it."""
    table, root = project.model, project.root
    _check_fitting(table)
    if is_reference(table.source):
        fingerprint(table.source, root)
        return None
    return identify(
        root / table.source,
        trust,
        custom_objects=root / table.custom_objects if table.custom_objects else None,
        root=root,
        weights=root / table.weights if table.weights else None,
        signature=table.signature,
    )


def _check_fitting(table: ModelTable) -> None:
    """Raise :class:`ProjectError` for what is of the other kind of source, and would do nothing."""
    built = is_reference(table.source)
    kind, other = "a function that builds a model", "the file of a model"
    kind, other = (kind, other) if built else (other, kind)
    for key in ("weights", "signature") if built else ("arguments",):
        if getattr(table, key):
            option = "" if key == "arguments" else f"--{key}, "
            message = f"{key} is for {other}, and {table.source} is {kind}"
            hint = f"leave out {option}[model] {key}"
            hint += ": the function loads its own weights" if key == "weights" else ""
            raise ProjectError("EK-PROJECT-082", message, hint)


def _precisions(project: Project, model: Model | None) -> tuple[str, ...]:
    """Choose the precisions: those requested, else those that the compression is for.

    A file that is taken as it is has its own.
    """
    if project.convert.as_is:
        return (as_is_plan.precision_of(project, model),)
    stated = "precisions" in project.convert.model_fields_set
    if project.compress.quantization_aware is not None and not stated:
        return ("int8",)
    return project.convert.precisions


def _check_unroll(project: Project, model: Model | None) -> None:
    if not project.convert.unroll:
        return
    hint = "build the model with unroll=True in its recurrent layers"
    if project.compress.schemes:
        raise ProjectError("EK-PROJECT-013", "a compressed model is not unrolled afterwards", hint)
    if model is not None and model.kind == "tflite":
        message = f"{model.path} is a TFLite file: it has no layers to unroll"
        raise ModelError("EK-MODEL-020", message, hint)


def _name(project: Project) -> str:
    source = project.model.source
    if project.model.name:
        return project.model.name
    stem = Path(source.rpartition(":")[0] or source).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "model"


def _targets(project: Project) -> Mapping[str, TargetTable]:
    if project.targets:
        return project.targets
    host = catalog.host()
    if host is None:
        raise DeviceError(
            "EK-DEVICE-003",
            "this host is not a target of the catalog",
            f"name one with --target: {', '.join(catalog.names())}",
        )
    return {host: TargetTable()}


def _check_task(project: Project) -> None:
    table = project.evaluate
    _check_task_of(project, table.task, table.metric)
    for one in table.outputs.values():
        _check_task_of(project, one.task, one.metric)


def _check_task_of(project: Project, name: str | None, metric: str | None) -> None:
    if name is None:
        return
    if name not in TASKS:
        raise project.unknown("task", name, TASKS)
    found = metrics.find(metric, project.root) if metric and metrics.is_known(metric) else None
    if found is not None and found.reads not in TASKS[name].reads:
        message = f"{metric} is not a metric of {name}"
        hint = f"metrics of {name}: {', '.join(TASKS[name].metrics)}"
        raise ProjectError("EK-PROJECT-043", message, hint)


def _check_metric(project: Project) -> None:
    name, outputs = project.evaluate.metric, project.evaluate.outputs
    for one in (name, *(table.metric for table in outputs.values())):
        if one is not None and not (is_reference(one) or metrics.is_known(one)):
            raise project.unknown("metric", one, metrics.METRICS)
    for place, budgets in stated_budgets(project.targets, project.candidates).items():
        if budgets.accuracy is not None and name not in (None, "accuracy"):
            message = f"{place}.accuracy: the metric of this project is {name}"
            raise ProjectError("EK-PROJECT-009", message, "call the budget `metric`")


def _check_limits(project: Project, options: Options) -> None:
    """Check what can be known of the limits before the data says what the metric is."""
    stated = project.evaluate.metric or ""
    budgets = stated_budgets(project.targets, project.candidates)
    accuracy = {place: each for place, each in budgets.items() if each.accuracy is not None}
    if stated in metrics.METRICS:
        metric = metrics.METRICS[stated]
        check_limits(metric.name, metric.bounded, options.max_drop, budgets)
    elif accuracy and not stated:
        check_limits("accuracy", True, options.max_drop, accuracy)


def check_budgets(project: Project) -> None:
    """Raise :class:`ProjectError` for a budget of no metric, operator or candidate."""
    for place, budgets in stated_budgets(project.targets, project.candidates).items():
        for name in budgets.metrics:
            if not (is_reference(name) or metrics.is_known(name)):
                known = {*Budgets.model_fields, *metrics.METRICS}
                raise project.unknown("budget", name, known)
        for name, goal in budgets.metrics.items():
            if name in metrics.METRICS and name != project.evaluate.metric:
                metric = metrics.METRICS[name]
                table = {f"{place}.{name}": Budgets(metric=goal)}
                check_limits(name, metric.bounded, None, table)
        check_operators(place, budgets)
    for name in project.candidates:
        if name.partition("@")[0] not in PRECISIONS:
            raise project.unknown("candidate", name, PRECISIONS)


def _check_recovery(project: Project, options: Options, precisions: tuple[str, ...]) -> None:
    if project.convert.recover is None:
        return
    if "int8" not in precisions:
        message = "--recover requires --precision int8"
        raise ProjectError("EK-PROJECT-020", message, "add --precision int8")
    if not options.evaluate:
        message = "--recover excludes --no-evaluate: it evaluates every file it tries"
        raise ProjectError("EK-PROJECT-020", message, "leave one of the two out")


def _check_data(project: Project, options: Options, precisions: tuple[str, ...]) -> None:
    data = project.data
    if options.evaluate and data.evaluate is None:
        hint = (
            "give items with --data FILE ([data] evaluate); `edgekit convert` also works with"
            " --no-evaluate"
        )
        raise DataError("EK-DATA-013", "there is no data to judge by", hint)
    calibrated = [precision for precision in precisions if calibrates(precision, project)]
    trained = project.compress.schemes and data.train is not None
    if calibrated and data.evaluate is None and data.representative is None and not trained:
        hint = "give real items with --representative FILE.npz or --data FILE.npz"
        message = f"{', '.join(calibrated)} needs a representative dataset"
        raise DataError("EK-DATA-014", message, hint)
    source = data.representative.from_ if data.representative else None
    if source == "train" and data.train is None:
        raise DataError(
            "EK-DATA-014", 'representative is from = "train", and [data] train is not set'
        )
    other = None if source in ("train", "evaluate") else source
    _check_files(project, (data.evaluate, data.train, other))


def _check_files(project: Project, named: Sequence[str | None]) -> None:
    beside = project.data.validation
    named = (*named, beside if isinstance(beside, str) else None)
    for file in named:
        if file is not None and is_file(file):
            check_data_file(project.root / file)
    _check_class_folders(project, named)


def _check_class_folders(project: Project, named: Iterable[str | None]) -> None:
    """Refuse folders of pictures whose classes would be numbered otherwise than in training."""
    trained = project.data.train
    if trained is None or not is_file(trained) or project.data.labels is not None:
        return
    known = class_folders(project.root / trained)
    for source in named:
        if source is not None and source != trained and is_file(source):
            check_same_classes(trained, known, source, class_folders(project.root / source))
