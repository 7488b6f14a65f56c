"""A CSV table with a header: numeric columns are inputs, one column the labels."""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from edgekit.data.blocks import Writer
from edgekit.data.class_names import class_order
from edgekit.data.dataset import LABELS, Dataset, check_file, describe
from edgekit.data.formats.columns import (
    FLOAT,
    IGNORED,
    INTEGER,
    Column,
    columns_of,
    is_missing,
    is_number,
    layout,
    values,
)
from edgekit.data.reading import Reading
from edgekit.errors import DataError
from edgekit.store import sha256
from edgekit.types import Json

INPUT = "x"
LABEL_COLUMNS = (LABELS, "label")
# A column without a name, and what pandas calls it when it reads one.
UNNAMED = re.compile(r"^(Unnamed: \d+)?$")
DELIMITERS = ",;\t"
# ``left[0]``, ``left[1]`` … are the values of one input.
ELEMENT = re.compile(r"^(.+)\[\d+\]$")
DECIMAL = re.compile(r"^([+-]?\d*),(\d+)$")
CELLS = 1 << 16
LONGEST_LINE = 1 << 24


@dataclass(frozen=True)
class _Table:
    """A file, the names of its columns, and the places of those without which a row is left out."""

    path: Path
    header: list[str]
    needed: tuple[int, ...] = ()

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows after the header with their line, without blank ones. Raises DataError."""
        for line, row in self.all_rows():
            if not any(is_missing(row[place]) for place in self.needed):
                yield line, row

    def all_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield rows with their line, also those that are left out. Raises :class:`DataError`."""
        lines = _lines(self.path)
        next(lines)
        for line, row in lines:
            if not row:
                continue
            if len(row) != len(self.header):
                message = (
                    f"{self.path}, line {line}: {len(row)} values for {len(self.header)} columns"
                )
                hint = f"the header is {', '.join(self.header)[:200]}"
                raise DataError("EK-DATA-017", message, hint)
            yield line, row

    def blocks(self) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Yield rows with their line numbers, in blocks that fit in memory."""
        lines: list[int] = []
        rows: list[list[str]] = []
        for line, row in self.rows():
            lines.append(line)
            rows.append(row)
            if len(rows) * len(self.header) >= CELLS:
                yield lines, rows
                lines, rows = [], []
        if rows:
            yield lines, rows


def matches(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and not path.is_dir()


def check(path: Path) -> None:
    check_file(path, "data file")
    _header(path)


def read(reading: Reading) -> tuple[Dataset, bool]:
    """Return the table's arrays: read twice, first for what the columns hold, then in blocks.

    Numeric columns are the input ``x`` ``[N, columns]`` in their order, unless columns are called
    like all of the model's inputs, or ``left[0]``, ``left[1]``…: then they are these inputs. Whole
    numbers become the narrowest integers that hold them, others float32. Labels of text become
    class numbers. Raises :class:`DataError` with line and column of what is not a number.
    """
    path, header = reading.path, _header(reading.path)
    columns = columns_of(reading.source, header, reading.types)
    nameless = _nameless(_Table(path, header))
    label = _label(reading, header)
    beside = [name for name in reading.columns if name in header and name != label]
    for name in (*beside, label):
        if name is not None and columns[name].categories:
            message = f"{reading.source}: categories are stated for {name!r}, which is not an input"
            raise DataError("EK-DATA-016", message, "[data] labels names the classes of labels")
    key: dict[str, Json] = {
        "sha256": sha256(path),
        "label": label,
        "beside": list(beside),
        "inputs": [spec.name for spec in reading.inputs],
        "class_names": list(reading.class_names),
        "nameless": list(nameless.values()),
        **({"texts": True} if reading.texts else {}),
        **({"types": dict(reading.types.columns)} if reading.types.columns else {}),
        **({"drop_missing": True} if reading.types.drop_missing else {}),
    }
    return reading.obtain(
        key, lambda folder: _convert(reading, columns, label, beside, nameless, folder)
    )


def _convert(
    reading: Reading,
    columns: dict[str, Column],
    label: str | None,
    beside: list[str],
    nameless: Mapping[str, str],
    folder: Path,
) -> Mapping[str, Json]:
    ignored = [name for name, column in columns.items() if column.stated == IGNORED]
    used = [
        c for name, c in columns.items() if name not in {*ignored, *nameless} - {label, *beside}
    ]
    needed = tuple(c.place for c in used) if reading.types.drop_missing else ()
    table = _Table(reading.path, list(columns), needed)
    _survey(table, columns, label, [*beside, *nameless, *ignored])
    names: tuple[str, ...] = ()
    if label is not None and reading.texts:
        columns[label].text = True
    if label is not None and columns[label].text:
        labels = {row[columns[label].place] for _, row in table.rows()}
        names = class_order(reading.source, labels, () if reading.texts else reading.class_names)
    others = {label, *beside, *nameless, *ignored}
    inputs = [column for name, column in columns.items() if name not in others]
    arrays = _arrays(reading, inputs)
    if not arrays:
        raise DataError("EK-DATA-003", f"{reading.path} holds no inputs: {', '.join(columns)}")
    _check_width(reading, arrays, label)
    writer = Writer(folder, reading.source)
    numbers = {name: number for number, name in enumerate(names)}
    for _, rows in table.blocks():
        block: dict[str, Any] = {name: values(rows, parts) for name, parts in arrays.items()}
        if label is not None:
            column = columns[label]
            known = np.array([numbers[row[column.place]] for row in rows]) if names else None
            block[LABELS] = values(rows, [column])[:, 0] if known is None else known
        for name in beside:
            text = [row[columns[name].place] for row in rows]
            block[name] = np.array(text) if columns[name].text else np.array(text, np.float64)
        writer.extend(block)
    facts = dict(describe(reading.source, writer.close()))
    notices = [f"{reading.source}: {column} is left out" for column in nameless.values()]
    notices += _notices(reading.source, table, writer.count, arrays)
    return {**facts, "beside": list(beside), "class_names": list(names), "notices": notices}


def _notices(
    source: str, table: _Table, kept: int, arrays: Mapping[str, list[Column]]
) -> list[Json]:
    """Say how many rows were left out, and which values an item has."""
    dropped = sum(1 for _ in table.all_rows()) - kept if table.needed else 0
    notices = [f"{source}: {dropped:,} rows without a value are left out"] if dropped else []
    named = layout(arrays)
    return [*notices, *([f"{source}: {named}"] if named else [])]


def _check_width(reading: Reading, arrays: Mapping[str, list[Column]], label: str | None) -> None:
    """Refuse another number of values than the model's only input has features.

    A flat row may fill an input of more dimensions. Raises :class:`DataError`.
    """
    if len(reading.inputs) != 1 or set(arrays) != {INPUT} or None in reading.inputs[0].shape[1:]:
        return
    (spec,) = reading.inputs
    columns = [part for column in arrays[INPUT] for part in column.parts]
    needed = math.prod(size or 1 for size in spec.shape[1:])
    if len(columns) == needed:
        return
    shown = ", ".join(columns[:20]) + (" …" if len(columns) > 20 else "")
    message = (
        f"input {spec.name!r} takes {needed} values per item, {reading.path} has {len(columns)}"
        f" columns for them: {shown}"
    )
    hint = f"a column that is not an input can be a slice or a group: --slice {columns[0]}"
    if label is None:
        hint = f"name the labels: --label-column {columns[-1]}; {hint}"
    raise DataError("EK-DATA-004", message, hint)


def _arrays(reading: Reading, columns: list[Column]) -> Mapping[str, list[Column]]:
    """Return the columns of each input, by its name."""
    inputs = {spec.name for spec in reading.inputs}
    parents = {c.name: element[1] for c in columns if (element := ELEMENT.match(c.name))}
    called = bool(inputs) and inputs <= {c.name for c in columns} | set(parents.values())
    arrays: dict[str, list[Column]] = {}
    for column in columns:
        alone = column.name if called else INPUT
        arrays.setdefault(parents.get(column.name, alone), []).append(column)
    return arrays


def _survey(
    table: _Table, columns: dict[str, Column], label: str | None, beside: list[str]
) -> None:
    """Find out what each column holds. Labels and columns beside the inputs may hold text."""
    free = {name for name in (label, *beside) if name is not None}
    for lines, rows in table.blocks():
        for (name, column), texts in zip(columns.items(), zip(*rows, strict=True), strict=True):
            at = None if column.text else column.wrong(texts)
            if at is not None:
                if name not in free or column.stated in (FLOAT, INTEGER):
                    raise _no_number(table.path, lines[at], column, texts[at], label is None)
                column.text = True
            if name == label and "" in texts:
                raise _no_number(table.path, lines[texts.index("")], column, "", False)


def _no_number(path: Path, line: int, column: Column, text: str, unlabelled: bool) -> DataError:
    name = column.name
    message = f"{path}, line {line}, column {name!r}: {text[:40]!r} {column.expected()}"
    hint = f"remove the row, or the column; a text column can be a slice: --slice {name}"
    if is_missing(text):
        hint += '; rows without a value can be left out: [data] missing = "drop"'
    elif not column.categories:
        hint += f'; or categories: [data.columns] {name} = ["{text[:40]}", …]'
    if unlabelled:
        hint += f"; or the labels: --label-column {name}"
    return DataError("EK-DATA-017", message, hint)


def _nameless(table: _Table) -> Mapping[str, str]:
    """Return columns without a name that hold nothing, or count the rows as pandas writes them.

    What each is, by its name in the header. Raises :class:`DataError` for one that holds more.
    """
    columns: dict[str, str] = {}
    for place, name in enumerate(table.header):
        if not UNNAMED.match(name):
            continue
        cells = [row[place] for _, row in table.rows()]
        first = int(cells[0]) if cells and cells[0].isdecimal() else 0
        if not any(cells):
            columns[name] = f"column {place + 1}, which has no name and is empty,"
        elif cells == [str(first + number) for number in range(len(cells))]:
            columns[name] = f"column {place + 1}, which has no name and counts the rows,"
        else:
            message = f"{table.path}: column {place + 1} has no name, and holds {cells[0][:40]!r} …"
            raise DataError("EK-DATA-002", message, "name it in the first row, or remove it")
    return columns


def _encoding(path: Path) -> str:
    """Return UTF-8, or UTF-16 where a byte order mark says so, as spreadsheets write it."""
    with path.open("rb") as file:
        return (
            "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        )


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(newline="", encoding=_encoding(path)) as file:
            head = file.readline(LONGEST_LINE)
            file.seek(0)
            delimiter = max(DELIMITERS, key=head.count)
            reader = csv.reader(_bounded(path, file), delimiter=delimiter)
            for row in reader:
                cells = [cell.strip() for cell in row]
                # Where commas are decimal signs, semicolons are between the cells.
                if delimiter == ";":
                    cells = [DECIMAL.sub(r"\1.\2", cell) for cell in cells]
                yield reader.line_num, cells
    except (UnicodeError, csv.Error) as error:
        hint = f"it must be text in UTF-8, with commas, semicolons or tabs: {error}"
        raise DataError("EK-DATA-003", f"{path} cannot be read as CSV", hint) from error


def _bounded(path: Path, file: TextIO) -> Iterator[str]:
    """Yield lines that are short enough to hold. Raises :class:`DataError`."""
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            message = f"{path}: a line has {LONGEST_LINE:,} characters or more"
            raise DataError("EK-DATA-003", message, "a table has a line per item")
        yield line


def _header(path: Path) -> list[str]:
    """Return the names of the columns. Raises :class:`DataError` where the first row has none."""
    cells = next(_lines(path), (1, []))[1]
    if cells.count("") > 1:
        cells = [name or f"Unnamed: {place}" for place, name in enumerate(cells)]
    header = cells
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    numbers = [name for name in header if is_number(name)]
    # A row of numbers is not a header, and neither is one that ends in a label.
    if not any(header) or len(numbers) >= max(1, len(header) - 1):
        message = f"{path} has no header: its first row is {', '.join(header)[:100] or 'empty'}"
        raise DataError("EK-DATA-002", message, "name the columns in the first row: x1,x2,y")
    if twice:
        raise DataError("EK-DATA-002", f"{path} has two columns called {', '.join(twice)}")
    return header


def _label(reading: Reading, header: list[str]) -> str | None:
    if reading.label is None:
        called = {name.lower(): name for name in reversed(header)}
        return next((called[name] for name in LABEL_COLUMNS if name in called), None)
    if reading.label not in header:
        message = f"{reading.path} has no column {reading.label!r} for labels"
        raise DataError("EK-DATA-016", message, f"its columns are {', '.join(header)[:300]}")
    return reading.label
