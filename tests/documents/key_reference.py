"""The page of every key of edgekit.toml, from the tables of toolkit/project/."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from cells import cell
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edgekit.project import Project, budgets, compress, ratchet, units
from edgekit.project.table import Table

HEAD = """\
# Every key of edgekit.toml

`edgekit init` writes a project file to start from, `edgekit init --from MODEL` one around a model,
with what was found in it. Everything has a default but `[model] source`,
and a key that does not exist is an error with its line and the nearest one that does. In a
`pyproject.toml` the tables stand under `[tool.edgekit]`. Options of the command line go before the
file.

- a **size** is a number with `B`, `kB`, `MB`, `GB` (1000) or `KiB`, `MiB`, `GiB` (1024): `"150 kB"`
- a **time** has `ns`, `us`, `µs`, `ms` or `s`: `"5 ms"`; a **duration** has `ms`, `s`, `min` or `h`
- a **drop** is `"1%"`, `"1pt"` or `0.01`, which mean the same for a metric in 0..1
- a **share** is `"5%"` or `0.05`; a **number** may be a fraction where the example shows one
- a **text** that names a file counts from the project file's folder; `file.py:function` is a
  function of yours
- `NAME` stands for a name of yours, or of the catalog
- `[models.NAME]` is a model of several, with the keys of `[model]` and tables of its own:
  [several models](../gate.md#several-models)
- `[models.NAME]`, where a file has several models, has the keys of `[model]` but `name`, and tables
  such as `[models.NAME.data]` for what is not as in the rest of the file:
  [several models](../gate.md#several-models)

`python tests/documents/pages.py` writes this page from `toolkit/project/`; a test holds it against
the code, and loads every example.
"""
# What a quantity is called that is more than its Python type.
QUANTITIES: tuple[tuple[Any, str], ...] = (
    (units.Size, "size"),
    (units.Nanoseconds, "time"),
    (units.Seconds, "duration"),
    (units.Drop, "drop"),
    (units.Numbers, "number, or a list of one per channel"),
    (budgets.SmallShare, "share"),
    (budgets.LargeShare, "share"),
    (ratchet.Percentage, "share"),
    (budgets.Count, 'count, such as `4500000` or `"4.5 M"`'),
    (compress.Sparsity, "share or `false`"),
    (compress.Clusters, "whole number or `false`"),
    (ratchet.Day, "date"),
)
PLAIN = {
    Any: "a value",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "text",
}
# More than anybody writes: no limit worth reading.
HUGE = 100_000
# Tables that may also be said by a word.
SWITCHES = ("recover", "quantization_aware", "distill")
# Names in the examples of tables under names of the user's.
EXAMPLE_NAMES = {
    "targets": "raspberry-pi-4",
    "candidates": "int8",
    "devices": "pi4",
    "outputs": "ink",
    "metrics": "f1",
}


@dataclass(frozen=True)
class Key:
    """A key: its field, what it means, and the lines of its example."""

    name: str
    field: FieldInfo
    hint: Any
    what: str
    example: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A table of the file: its path, such as ``targets.NAME.budgets``, and its keys."""

    path: str
    table: type[Table]
    keys: tuple[Key, ...]
    repeated: bool = False

    @property
    def title(self) -> str:
        if not self.path:
            return "The tables"
        return f"`[[{self.path}]]`" if self.repeated else f"`[{self.path}]`"


def places() -> tuple[Place, ...]:
    """Return the tables of the file, each class once, where it first stands."""
    found: dict[type[Table], Place] = {}
    _walk(Project, "", False, found)
    return tuple(found.values())


def _walk(table: type[Table], path: str, repeated: bool, found: dict[type[Table], Place]) -> None:
    if table in found:
        return
    keys = tuple(keys_of(table))
    found[table] = Place(path, table, keys, repeated)
    for key in keys:
        inner, form = inner_table(key.hint)
        if inner is not None:
            name = f"{key.name}.NAME" if form is dict else key.name
            _walk(inner, f"{path}.{name}".lstrip("."), form is tuple, found)


def keys_of(table: type[Table]) -> Iterator[Key]:
    """Yield the keys of a table that a user may write, as the code explains them."""
    documented = _docstrings(table)
    hints = get_type_hints(table, include_extras=True)
    for name, field in table.model_fields.items():
        # Where the loader puts the tables of plug-ins; refused as a key.
        if name == "plugged":
            continue
        what, example = _parts(documented.get(name, ""))
        yield Key(field.alias or name, field, hints[name], what, example)


def _docstrings(table: type[Table]) -> dict[str, str]:
    """Return what stands below each field. It is read here alone: no command pays for it."""
    body = ast.parse(textwrap.dedent(inspect.getsource(table))).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _parts(docstring: str) -> tuple[str, tuple[str, ...]]:
    """Return what a docstring explains, and its example: the double backticks at its end."""
    text = " ".join(docstring.split())
    found = re.search(r"((?:, )?``[^`]+``)+$", text)
    if not found:
        return text, ()
    return text[: found.start()].strip(), tuple(re.findall(r"``([^`]+)``", found[0]))


def inner_table(hint: Any) -> tuple[type[Table] | None, type | None]:
    """Return the table that a key holds, if any, and whether by name (dict) or repeated (tuple)."""
    if isinstance(hint, type) and issubclass(hint, Table):
        return hint, None
    origin = get_origin(hint)
    if origin is Annotated or origin in (Union, UnionType):
        parts = get_args(hint)[:1] if origin is Annotated else get_args(hint)
        return next(
            (found for part in parts if (found := inner_table(part))[0] is not None), (None, None)
        )
    if origin in (dict, tuple):
        part = get_args(hint)[1 if origin is dict else 0]
        return inner_table(part)[0], origin
    return None, None


def type_words(hint: Any) -> str:
    """Say what a value may be."""
    if (known := next((words for each, words in QUANTITIES if each == hint), None)) is not None:
        return known
    if hint in PLAIN:
        return PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin is Literal:
        return ", ".join(f'`"{one}"`' if isinstance(one, str) else f"`{one}`" for one in arguments)
    if origin in (Union, UnionType):
        return " or ".join(type_words(one) for one in arguments if one is not NoneType)
    table, form = inner_table(hint)
    if table is not None:
        return {dict: "tables by name", tuple: "tables, repeated"}.get(form, "table")
    if origin is tuple:
        several = "…" if Ellipsis in arguments else str(len(arguments))
        words = type_words(arguments[0])
        return f"list of {words}s" if several == "…" else f"{several} {words}s"
    assert origin is dict, hint
    return f"{type_words(arguments[1])} by name"


def limit_words(field: FieldInfo) -> str:
    """Say between which bounds a number lies."""
    words = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
    said = []
    for bound in field.metadata:
        value = next(
            (getattr(bound, name) for name in ("ge", "gt", "le", "lt") if hasattr(bound, name)), 0
        )
        if type(bound) in words and abs(value) < HUGE:
            said.append(f"{words[type(bound)]} {value:g}")
    return ", ".join(said)


def default_words(key: Key) -> str:
    """Say what holds where the key is not written."""
    if key.field.is_required():
        return "required"
    value = key.field.default
    if value is PydanticUndefined or value is None or value in ((), "", {}):
        return ""
    if isinstance(value, bool):
        return f"default `{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(_toml(one) for one in value)}]`"
    return f"default `{_toml(value)}`"


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def anchor(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def page() -> str:
    """Return the whole page."""
    all_places = places()
    titles = {place.table: place.title for place in all_places}
    return HEAD + "".join(_section(place, titles) for place in all_places)


def _section(place: Place, titles: dict[type[Table], str]) -> str:
    about = "" if place.table is Project else _about(place.table)
    rows = "".join(_row(key, titles) for key in place.keys)
    return (
        f"\n## {place.title}\n\n{about}| key | what it is | what it means, and an example |\n"
        f"| --- | --- | --- |\n{rows}"
    )


def _about(table: type[Table]) -> str:
    text = inspect.cleandoc(table.__doc__ or "")
    text = re.sub(r"^``[^`]+``: ", "", text).replace("``", "`")
    return f"{text[:1].upper()}{text[1:]}\n\n"


def _row(key: Key, titles: dict[type[Table], str]) -> str:
    words = type_words(key.hint)
    table, _ = inner_table(key.hint)
    if table is not None:
        words = f"[{words}](#{anchor(titles[table])})"
        words += " or `true`" if key.name in SWITCHES else ""
    elif limits := limit_words(key.field):
        words += f", {limits}"
    example = "<br>".join(f"`{line}`" for line in key.example)
    default = default_words(key)
    cells = (
        f"`{key.name}`",
        words + (f"<br>{default}" if default else ""),
        f"{key.what}<br>{example}",
    )
    return f"| {' | '.join(map(cell, cells))} |\n"
