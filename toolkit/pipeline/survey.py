"""What a model is, found by looking at it: what ``edgekit init --from`` writes a project of."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit import inspection
from edgekit.converters import flatbuffer
from edgekit.converters.metadata import ModelFacts, read_metadata
from edgekit.converters.precisions import precision_in
from edgekit.errors import EdgekitError, ModelError, ProjectError, did_you_mean
from edgekit.inspection import TargetFit
from edgekit.pipeline import expected_stages
from edgekit.pipeline.items import Items
from edgekit.pipeline.make import candidates, export, obtain
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.preprocessing_check import PreprocessingCheck, check_preprocessing
from edgekit.pipeline.raw_bytes import as_given
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import takes_labels
from edgekit.pipeline.selection import select_items
from edgekit.project import ConvertTable, Project
from edgekit.targets import catalog
from edgekit.types import Advice, Model, Progress, SavedModel
from edgekit.usercode import file_of, is_reference

FLOAT, INT8 = "float32", "int8"


@dataclass(frozen=True)
class Survey:
    """What was found of a project's model, and of its data where it names any.

    ``model`` is absent where a function builds it, and ``reference`` where that function was not
    run. ``precision`` is that of a ``.tflite`` which is taken as it is. ``fits`` are the targets
    that run a file of it, each with that file's precision. ``labels_from`` says where the
    ``labels`` are from, and ``facts`` are those of TFLite Metadata.
    """

    project: Project
    name: str
    model: Model | None = None
    reference: SavedModel | None = None
    precision: str = ""
    items: Items | None = None
    check: PreprocessingCheck | None = None
    labels: tuple[str, ...] = ()
    labels_from: str = ""
    facts: ModelFacts | None = None
    fits: tuple[tuple[str, TargetFit], ...] = ()
    host: str = ""
    advice: tuple[Advice, ...] = ()


def survey(project: Project, options: Options, progress: Progress) -> Survey:
    """Look at a model and its data. A function of the user's is run with ``trust`` alone.

    Raises :class:`EdgekitError` where the model cannot be opened, or the data does not fit it.
    """
    options = replace(options, evaluate=project.data.evaluate is not None)
    if is_reference(project.model.source) and not options.trust:
        _check_function(project)
        plan = Plan.of_model(project, options)
        return Survey(project, plan.name, host=catalog.host() or "")
    plan = Plan.of(_looked_at(project, options), options)
    if plan.model is not None and plan.model.kind == "tflite":
        # One that is quantized is not a model to convert, but one to check and bundle.
        precision = precision_in(flatbuffer.read(plan.model.path))
        if precision != FLOAT:
            plan = Plan.of(_with(plan.project, as_is=True), options)
    else:
        precision = FLOAT
    with Run(plan, progress) as run:
        run.progress.expect(expected_stages.surveying(plan))
        reference = export(run, obtain(run))
        items = as_given(run, reference, select_items(run, reference, takes_labels(run)))
        check = None
        if options.evaluate:
            with run.stage("variants"):
                check = check_preprocessing(run, reference, items)
        labels, labels_from, facts = _labels(plan.model, items)
        return Survey(
            project,
            plan.name,
            plan.model,
            reference,
            "" if precision == FLOAT else precision,
            items if options.evaluate else None,
            check,
            labels,
            labels_from,
            facts,
            _fits(run, reference, items),
            next(iter(plan.targets)),
            run.advices,
        )


def _looked_at(project: Project, options: Options) -> Project:
    """Return the project with the precisions whose files tell where the model runs."""
    return _with(project, precisions=(FLOAT, INT8) if options.evaluate else (FLOAT,))


def _with(project: Project, **settings: Any) -> Project:
    return project.model_copy(update={"convert": ConvertTable(**settings)})


def _check_function(project: Project) -> None:
    """Raise :class:`ProjectError` where the file does not define the function; nothing is run."""
    source = project.model.source
    path, name = file_of(source, project.root), source.rpartition(":")[2]
    if path is None:
        return
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (ValueError, SyntaxError) as error:
        raise ProjectError("EK-PROJECT-006", f"{path} is not a Python file", str(error)) from error
    defined = {
        *(one.name for one in tree.body if isinstance(one, ast.FunctionDef)),
        *(a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names),
        *(
            t.id
            for n in tree.body
            if isinstance(n, ast.Assign)
            for t in n.targets
            if isinstance(t, ast.Name)
        ),
    }
    if name not in defined:
        hint = f"the file defines: {', '.join(sorted(defined))}{did_you_mean(name, defined)}"
        raise ProjectError("EK-PROJECT-007", f"{source}: no function {name!r}", hint)


def _labels(model: Model | None, items: Items) -> tuple[tuple[str, ...], str, ModelFacts | None]:
    """Return the classes' names and where they are from, and the metadata of a ``.tflite``."""
    facts = None
    if model is not None and model.kind == "tflite":
        try:
            facts = read_metadata(model.path)
        except ModelError:
            facts = None
    named = next((one.labels for one in facts.outputs if one.labels), ()) if facts else ()
    if items.class_names:
        return items.class_names, "the folders of the data, in their order", facts
    return named, "the file's TFLite Metadata" if named else "", facts


def _fits(run: Run, reference: SavedModel, items: Items) -> tuple[tuple[str, TargetFit], ...]:
    """Return the targets that run a file of the model: of the smallest precision that they take."""
    files: Mapping[str, Path]
    if reference.is_tflite:
        files = {precision_in(flatbuffer.read(reference.path)): reference.path}
    else:
        made = candidates(run, reference.in_float32, items)
        files = {one.precision: one.path for one in made if one.path and not one.problem}
    best_fits: dict[str, tuple[str, TargetFit]] = {}
    for precision, path in files.items():
        try:
            rows = inspection.fits(inspection.inspect(path))
        except EdgekitError:
            continue
        # The last precision is the smallest: a target that takes it is listed by it.
        best_fits |= {row.target: (precision, row) for row in rows if row.verdict == "fits"}
    return tuple(best_fits[target.id] for target in catalog.every() if target.id in best_fits)
