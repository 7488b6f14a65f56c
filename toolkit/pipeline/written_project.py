"""``edgekit.toml`` around a model: each line with a comment that says what was found."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.inspection import TargetFit
from edgekit.pipeline.survey import INT8, Survey
from edgekit.types import TensorSpec
from edgekit.usercode import is_reference

# Where comments begin, and how wide a comment of its own is.
COLUMN, WIDTH = 44, 96
# What a user's options put into the file as they are, by table: key and whether it is a path.
MODEL_KEYS = {"weights": True, "custom_objects": True, "signature": False}
SCALING = ("scale", "offset", "mean", "std")
TITLES = {
    "keras3": "Keras 3",
    "keras2": "Keras 2",
    "tensorflow": "a SavedModel",
    "tflite": "a .tflite file",
}


def written(survey: Survey, folder: Path) -> str:
    """Return the text of a project file for ``folder``; paths in it count from there."""
    parts = (_head(survey), _model(survey, folder), _data(survey, folder), _convert(survey))
    sections = (*parts, _evaluate(survey), _targets(survey))
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines) + "\n"


def _head(survey: Survey) -> Iterator[str]:
    about = (
        f"{Path(survey.project.model.source).name}: what `edgekit init --from` found in it stands"
        " beside each line. `edgekit convert` makes .tflite files of it, judges each against the"
        " model itself, and bundles what passes"
    )
    yield from _comments(about)
    yield "schema = 1"


def _model(survey: Survey, folder: Path) -> Iterator[str]:
    table, model, reference = survey.project.model, survey.model, survey.reference
    about = []
    if model is not None:
        about.append(TITLES.get(model.generation, f"a {model.kind} file"))
    elif reference is None:
        about.append("a function of yours, which was not run: --trust runs it and looks at it")
    if reference is not None and reference.parameters:
        about.append(f"{reference.parameters:,} parameters")
    yield "[model]"
    yield from _line("name", _text(survey.name))
    yield from _line("source", _text(_path(table.source, folder)), ", ".join(about))
    for key, is_path in MODEL_KEYS.items():
        value = getattr(table, key)
        if value is not None:
            yield from _line(key, _text(_path(value, folder) if is_path else value))
    if reference is not None:
        for kind, specs in (("input", reference.inputs), ("output", reference.outputs)):
            for spec in specs:
                ends = reference.last.get(spec.name) if kind == "output" else ""
                yield from _comments(
                    f"{kind} {_tensor(spec)}{f', which ends in {ends}' if ends else ''}"
                )
        for state in reference.states:
            pair = f"{state.input.name} <- {state.output.name}"
            yield from _comments(f"state {pair}: {state.why}")


def _data(survey: Survey, folder: Path) -> Iterator[str]:
    data, items = survey.project.data, survey.items
    yield "[data]"
    if data.evaluate is None:
        yield from _comments(
            "missing: items to judge by, with their labels. Name an .npz with arrays x and y, a"
            " folder of pictures by class, a .csv, a .tfrecord, or a function. Then int8 can be"
            " calibrated too, and `edgekit init --from … --data … --force` writes what it tells"
        )
        yield '# evaluate = "test.npz"'
    else:
        count = f"{items.evaluated:,} items, which all candidates are judged by" if items else ""
        yield from _line("evaluate", _text(_path(data.evaluate, folder)), count)
    if data.train is not None:
        yield from _line("train", _text(_path(data.train, folder)))
    else:
        yield from _line("# train", '"train.npz"', "to train, or to fine-tune a smaller model")
    if data.label_column is not None:
        yield from _line("label_column", _text(data.label_column))
    yield from _preprocess(survey)
    yield from _labels(survey, folder)


def _preprocess(survey: Survey) -> Iterator[str]:
    check, stated = survey.check, survey.project.data.preprocess
    facts = next((one for one in survey.facts.inputs if one.std), None) if survey.facts else None
    kept = stated.model_dump(exclude_unset=True, exclude_none=True)
    if check is not None and check.better is not None and check.better.table:
        kept = {key: value for key, value in kept.items() if key not in SCALING}
        values = [*_stated(kept), check.better.table.strip("{ }")]
        why = _evidence(survey, check.better.title)
        yield from _line("preprocess", f"{{ {', '.join(values)} }}", why)
    elif kept:
        values = _stated(kept)
        why = f"as you said; {_evidence(survey, '')}"
        yield from _line("preprocess", f"{{ {', '.join(values)} }}", why)
    elif facts is not None and check is None:
        mean, std = (_numbers(values) for values in (facts.mean, facts.std))
        why = "(x - mean) / std, as the file's TFLite Metadata says"
        yield from _line("preprocess", f"{{ mean = {mean}, std = {std} }}", why)
    else:
        yield from _line("# preprocess", '{ scale = "1/255", offset = 0.0 }', _evidence(survey, ""))
    if check is not None and check.better is not None and not check.better.table:
        yield from _comments(f"{_evidence(survey, check.better.title)}: {check.better.fix}")


def _stated(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


def _evidence(survey: Survey, better: str) -> str:
    """Say how the model answers the items as given, and prepared otherwise."""
    check, items = survey.check, survey.items
    if check is None or items is None:
        return "items are fed as they are"
    metric = items.metric.name
    if check.unchecked:
        return f"not guessed: {check.unchecked[0].reason}"
    told = {
        score.title: f"{score.metric.value:.3g} {score.title}"
        for score in check.scores
        if score.metric.value is not None
    }
    given, count = check.scores[0], check.scores[0].metric.n
    if better:
        first = told.get(better, better)
        return f"{metric} {first}, {told[given.title]}, on the same {count:,} items"
    others = [text for title, text in told.items() if title != given.title]
    beside = f"; not better: {', '.join(others)}" if others else ""
    doubt = f"; {check.findings[0].message}" if check.findings else ""
    return f"as given: {metric} {told[given.title].split()[0]} on {count:,} items{beside}{doubt}"


def _labels(survey: Survey, folder: Path) -> Iterator[str]:
    stated = survey.project.data.labels
    if isinstance(stated, str):
        yield from _line("labels", _text(_path(stated, folder)))
    elif stated:
        yield from _line("labels", json.dumps(list(stated), ensure_ascii=False))
    elif survey.labels:
        names = json.dumps(list(survey.labels), ensure_ascii=False)
        yield from _line("labels", names, f"from {survey.labels_from}")
    else:
        why = "names of the classes, in the order of the outputs"
        yield from _line("# labels", '["cat", "dog"]', why)


def _convert(survey: Survey) -> Iterator[str]:
    yield "[convert]"
    if survey.precision:
        why = f"the file is {survey.precision} already: it is checked and bundled as it is"
        yield from _line("as_is", "true", why)
        yield from _line("# reference", '"model.keras"', "what it was made from, to judge it by")
        return
    names = ["float32", "float16", "dynamic"]
    if survey.project.data.evaluate is None:
        why = "int8 too, once there is data to calibrate it with"
    else:
        names.append(INT8)
        why = "int8 is calibrated with items of the data"
    yield from _line("precisions", json.dumps(names), why)


def _evaluate(survey: Survey) -> Iterator[str]:
    items, stated = survey.items, survey.project.evaluate
    yield "[evaluate]"
    if items is not None and items.task is not None:
        yield from _line("task", _text(items.task.task.name), items.task.reason)
        yield from _line("metric", _text(items.metric.name), "what candidates are judged by")
    elif stated.metric is not None:
        yield from _line("metric", _text(stated.metric))
    else:
        why = "detected from labels and outputs, once there is data"
        yield from _line("# task", '"classification"', why)
    outputs = survey.reference.outputs if survey.reference else ()
    if items is not None and items.output and len(outputs) > 1:
        yield from _line("output", _text(items.output), "the main one of several outputs")


def _targets(survey: Survey) -> Iterator[str]:
    """Yield the targets that fit: this host is used, the others stand ready."""
    own = [one for one in survey.fits if one[1].target == survey.host]
    yield from _comments(
        "What ships where. Every target that fits by its tables is listed, with precision, runtimes"
        " and share of memory: take away the # of those that you ship to. `edgekit targets"
        " fit FILE` tries a file, and says why others do not fit or are not known to"
        if survey.fits
        else "What ships where: `edgekit targets` lists the targets there are"
    )
    if survey.host:
        why = f"this host; {_fit(*own[0])}" if own else "this host"
        yield from _commented(f"[targets.{survey.host}]", why)
        yield from _commented(f"# [targets.{survey.host}.budgets]", "what it must keep to")
        yield '# size = "100 kB"'
    for precision, row in survey.fits:
        if row.target != survey.host:
            yield from _commented(f"# [targets.{row.target}]", _fit(precision, row))


def _fit(precision: str, row: TargetFit) -> str:
    """Say in few words why a target runs a file: on which runtimes, in how much of its memory."""
    runtimes = ", ".join(f"{one.runtime} {one.version}" for one in row.runtimes)
    room = [cell for cell in row.cells if cell.column in ("flash", "memory")]
    shares = [
        f", {c.value} of {'RAM' if c.column == 'memory' else c.column}"
        for c in room
        if c.verdict == "fits"
    ]
    return f"{precision} on {runtimes}{''.join(shares)}"


def _tensor(spec: TensorSpec) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in spec.shape)
    return f"{spec.name}: {spec.dtype} [{sizes}]"


def _numbers(values: Sequence[float]) -> str:
    return json.dumps(values[0] if len(set(values)) == 1 else list(values))


def _path(source: str, folder: Path) -> str:
    """Return a path as it counts from the folder; the function after a colon stays."""
    if is_reference(source):
        path, _, function = source.rpartition(":")
        return f"{_path(path, folder)}:{function}" if path.endswith(".py") else source
    if not Path(source).is_absolute():
        return source
    return Path(os.path.relpath(source, folder)).as_posix()


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(key: str, value: str, why: str = "") -> Iterator[str]:
    yield from _commented(f"{key} = {value}", why)


def _commented(line: str, why: str) -> Iterator[str]:
    """Yield a line with its comment: beside it, or above it where both are long."""
    comment = _clean(why)
    if not comment:
        yield line
    elif len(line) <= COLUMN and COLUMN + len(comment) <= WIDTH + 20:
        yield f"{line:<{COLUMN}}  # {comment}"
    else:
        yield from _comments(comment)
        yield line


def _comments(text: str) -> Iterator[str]:
    lines = textwrap.wrap(_clean(text), WIDTH - 2, break_on_hyphens=False, break_long_words=False)
    yield from (f"# {line}" for line in lines)


def _clean(text: str) -> str:
    """Return text on one line, without what a comment may not hold: names are of a file."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
