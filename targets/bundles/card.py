"""The model card of a bundle: what was measured, under which conditions, and what was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.targets.bundles.contents import LICENCE, Contents
from edgekit.targets.catalog import Target

ABSENT = "unavailable"
NOBODY = "unavailable, because the project does not say"
# Where a figure comes from, by what its name ends in.
HOST = "_on_build_host"


def model_card(target: Target, contents: Contents) -> str:
    """Return the card as Markdown. Every figure says how it is known; none is made up."""
    sections = (
        f"# Model card: {contents.name} {contents.version}",
        "\n".join(_facts(target, contents)),
        "## What it takes and gives",
        "\n".join(_ends(contents)),
        "## What was measured",
        "\n".join(_figures(contents.measurements)),
        "## What its self-test holds it to",
        "\n".join(_golden(contents)),
        "## How it was made",
        ", ".join(f"{name} {version}" for name, version in contents.tools.items() if version)
        or ABSENT,
    )
    return "\n\n".join(sections) + "\n"


def _facts(target: Target, contents: Contents) -> Iterator[str]:
    need = contents.minimum_runtime
    oldest = f"TensorFlow Lite {need.release}" if need and need.release else ABSENT
    forced = f", because of {need.forced_by}" if need and need.forced_by else ""
    licence = contents.licence.spdx or (f"see {LICENCE}" if contents.licence.text else NOBODY)
    reason = f": {contents.gate.reason}" if contents.gate.reason else ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| description | {_cell(contents.description) or NOBODY} |"
    yield f"| author | {_cell(contents.author) or NOBODY} |"
    yield f"| licence | {_cell(licence)} |"
    yield f"| target | {_cell(target.title)} |"
    yield f"| precision | {contents.precision}, {contents.model.stat().st_size:,} bytes |"
    yield f"| oldest runtime that has its operators | {oldest}{forced} (computed, not tried) |"
    yield f"| verdict for the target | {contents.gate.status}{_cell(reason)} |"


def _ends(contents: Contents) -> Iterator[str]:
    yield "| | name | shape | type |"
    yield "| --- | --- | --- | --- |"
    for which, specs in (("input", contents.inputs), ("output", contents.outputs)):
        for spec in specs:
            shape = ", ".join("any" if size is None else str(size) for size in spec.shape)
            yield f"| {which} | {_cell(spec.name)} | {shape} | {spec.dtype} |"
    yield ""
    facts = contents.preprocess.facts
    yield "Raw values are prepared so: " + ", ".join(f"{k} {v}" for k, v in facts.items()) + "."
    if contents.labels:
        yield f"Its {len(contents.labels)} classes are in `labels.txt`."


def _figures(measurements: Mapping[str, Any]) -> Iterator[str]:
    if not measurements:
        yield "Nothing: accuracy, latency and memory are unavailable, because nobody measured them"
        yield "when this bundle was made."
        return
    yield "| figure | value | 95 % interval | how | items or runs | conditions |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, found in sorted(measurements.items()):
        yield f"| {_cell(name)} | {_row(name, found)} |"


def _row(name: str, figure: Mapping[str, Any]) -> str:
    if figure.get("how") == "unavailable" or figure.get("value") is None:
        return f"{ABSENT}, because {_cell(str(figure.get('reason', '')))} | | {ABSENT} | | "
    interval = ""
    if figure.get("low") is not None and figure.get("high") is not None:
        interval = f"{figure['low']:.6g} to {figure['high']:.6g}"
    where = "on the machine that made the bundle, not on the target" if name.endswith(HOST) else ""
    tool = _cell("; ".join(filter(None, [str(figure.get("tool", "")), where])))
    count = "" if figure.get("n") is None else f"{figure['n']:,}"
    value = f"{figure['value']:.6g} {_cell(str(figure['unit']))}"
    return f"{value} | {interval} | {figure['how']} | {count} | {tool} "


def _golden(contents: Contents) -> Iterator[str]:
    golden = contents.golden
    count = len(next(iter(golden.inputs.values()), ()))
    whose = "drawn with a seed: there was no data" if golden.random else "of the evaluation data"
    yield f"{count} items {whose}, and what LiteRT {golden.version} gives for them."
    yield ""
    ran = "".join(f" {family.runtime} {family.version} |" for family in golden.families)
    yield f"| output | may differ by |{ran}"
    yield f"| --- | --- |{' --- |' * len(golden.families)}"
    for name, tolerance in golden.tolerance.items():
        off = "".join(f" differs by {f.differences[name]:.3g} |" for f in golden.families)
        yield f"| {_cell(name)} | {tolerance:.3g} |{off}"


def _cell(text: str) -> str:
    """Return a text that stays in its cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
