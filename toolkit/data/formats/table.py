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
INTEGERS = (np.uint8, np.int16, np.int32, np.int64)


@dataclass
class _Column:
    """What a column turned out to hold: whole numbers in a range, numbers, or text."""

    place: int
    text: bool
    whole: bool = True
    low: int = 0
    high: int = 0


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
    class numbers. Raises :class:`DataError` with line and column of what is no number.
    """
    path, header = reading.path, _header(reading.path)
    nameless = _nameless(path, header)
    label = _label(reading, header)
    beside = [name for name in reading.columns if name in header and name != label]
    key: dict[str, Json] = {
        "sha256": sha256(path),
        "label": label,
        "beside": list(beside),
        "inputs": [spec.name for spec in reading.inputs],
        "class_names": list(reading.class_names),
        "nameless": list(nameless.values()),
        **({"texts": True} if reading.texts else {}),
    }
    return reading.obtain(
        key, lambda folder: _convert(reading, header, label, beside, nameless, folder)
    )


def _convert(
    reading: Reading,
    header: list[str],
    label: str | None,
    beside: list[str],
    nameless: Mapping[str, str],
    folder: Path,
) -> Mapping[str, Json]:
    path = reading.path
    columns = _survey(path, header, label, [*beside, *nameless])
    names: tuple[str, ...] = ()
    if label is not None and reading.texts:
        columns[label].text = True
    if label is not None and columns[label].text:
        labels = {row[columns[label].place] for _, row in _rows(path, header)}
        names = class_order(reading.source, labels, () if reading.texts else reading.class_names)
    numbers = {name: number for number, name in enumerate(names)}
    others = {label, *beside, *nameless}
    arrays = _arrays(reading, [name for name in header if name not in others])
    if not arrays:
        raise DataError("EK-DATA-003", f"{path} holds no inputs: {', '.join(header)}")
    _check_width(reading, arrays, label)
    writer = Writer(folder, reading.source)
    for _, rows in _blocks(path, header):
        block: dict[str, Any] = {
            name: _values(rows, [columns[part] for part in parts]) for name, parts in arrays.items()
        }
        if label is not None:
            place = columns[label].place
            block[LABELS] = (
                np.array([numbers[row[place]] for row in rows])
                if names
                else _values(rows, [columns[label]])[:, 0]
            )
        for name in beside:
            text = [row[columns[name].place] for row in rows]
            block[name] = np.array(text) if columns[name].text else np.array(text, np.float64)
        writer.extend(block)
    facts = dict(describe(reading.source, writer.close()))
    notices = [f"{reading.source}: {column} is left out" for column in nameless.values()]
    return {**facts, "beside": list(beside), "class_names": list(names), "notices": notices}


def _check_width(reading: Reading, arrays: Mapping[str, list[str]], label: str | None) -> None:
    """Refuse another number of columns than the model's only input has features.

    A flat row may fill an input of more dimensions. Raises :class:`DataError`.
    """
    if len(reading.inputs) != 1 or set(arrays) != {INPUT} or None in reading.inputs[0].shape[1:]:
        return
    (spec,), columns = reading.inputs, arrays[INPUT]
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


def _values(rows: list[list[str]], columns: list[_Column]) -> Any:
    texts = [[row[column.place] for column in columns] for row in rows]
    if not all(column.whole for column in columns):
        return np.array(texts, np.float64).astype(np.float32)
    low, high = min(c.low for c in columns), max(c.high for c in columns)
    ranges = [np.iinfo(dtype) for dtype in INTEGERS]
    dtype = next(info.dtype for info in ranges if info.min <= low and high <= info.max)
    return np.array(texts, np.int64).astype(dtype)


def _arrays(reading: Reading, names: list[str]) -> Mapping[str, list[str]]:
    """Return the columns of each input, by its name."""
    inputs = {spec.name for spec in reading.inputs}
    parents = {name: element[1] for name in names if (element := ELEMENT.match(name))}
    called = bool(inputs) and inputs <= set(names) | set(parents.values())
    arrays: dict[str, list[str]] = {}
    for name in names:
        alone = name if called else INPUT
        arrays.setdefault(parents.get(name, alone), []).append(name)
    return arrays


def _survey(
    path: Path, header: list[str], label: str | None, beside: list[str]
) -> dict[str, _Column]:
    """Find out what each column holds. Labels and columns beside the inputs may hold text."""
    columns = {name: _Column(place, False) for place, name in enumerate(header)}
    free = {name for name in (label, *beside) if name is not None}
    for lines, rows in _blocks(path, header):
        for (name, column), texts in zip(columns.items(), zip(*rows, strict=True), strict=True):
            if not column.text and not _take(column, texts):
                if name not in free:
                    at = next(k for k, text in enumerate(texts) if not _is_number(text))
                    raise _no_number(path, lines[at], name, texts[at], label is None)
                column.text = True
            if name == label and "" in texts:
                raise _no_number(path, lines[texts.index("")], name, "", False)
    return columns


def _take(column: _Column, texts: tuple[str, ...]) -> bool:
    """Widen what a column holds by numbers; false where a text is none, or not finite."""
    # Python reads 1_000 as a number; no table means that.
    if any("_" in text for text in texts):
        return False
    try:
        if column.whole and all(text.lstrip("+-").isdecimal() for text in texts):
            whole = np.array(texts, np.int64)
            column.low = min(column.low, int(whole.min()))
            column.high = max(column.high, int(whole.max()))
            return True
        column.whole = False
        return bool(np.isfinite(np.array(texts, np.float64)).all())
    except OverflowError:
        # An integer of more than 64 bits.
        column.whole = False
        return all(map(_is_number, texts))
    except ValueError:
        return False


def _no_number(path: Path, line: int, name: str, text: str, unlabelled: bool) -> DataError:
    message = f"{path}, line {line}, column {name!r}: {text[:40]!r} is not a number"
    hint = f"remove the row, or the column; a text column can be a slice: --slice {name}"
    if unlabelled:
        hint += f"; or the labels: --label-column {name}"
    return DataError("EK-DATA-017", message, hint)


def _nameless(path: Path, header: list[str]) -> Mapping[str, str]:
    """Return columns without a name that hold nothing, or count the rows as pandas writes them.

    What each is, by its name in the header. Raises :class:`DataError` for one that holds more.
    """
    columns: dict[str, str] = {}
    for place, name in enumerate(header):
        if not UNNAMED.match(name):
            continue
        cells = [row[place] for _, row in _rows(path, header)]
        first = int(cells[0]) if cells and cells[0].isdecimal() else 0
        if not any(cells):
            columns[name] = f"column {place + 1}, which has no name and is empty,"
        elif cells == [str(first + number) for number in range(len(cells))]:
            columns[name] = f"column {place + 1}, which has no name and counts the rows,"
        else:
            message = f"{path}: column {place + 1} has no name, and holds {cells[0][:40]!r} …"
            raise DataError("EK-DATA-002", message, "name it in the first row, or remove it")
    return columns


def _blocks(path: Path, header: list[str]) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Yield rows with their line numbers, in blocks that fit in memory."""
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, row in _rows(path, header):
        lines.append(line)
        rows.append(row)
        if len(rows) * len(header) >= CELLS:
            yield lines, rows
            lines, rows = [], []
    if rows:
        yield lines, rows


def _rows(path: Path, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows after the header with their line, without blank ones. Raises DataError."""
    lines = _lines(path)
    next(lines)
    for line, row in lines:
        if not row:
            continue
        if len(row) != len(header):
            message = f"{path}, line {line}: {len(row)} values for {len(header)} columns"
            raise DataError("EK-DATA-017", message, f"the header is {', '.join(header)[:200]}")
        yield line, row


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
    numbers = [name for name in header if _is_number(name)]
    # A row of numbers is no header, and neither is one that ends in a label.
    if not any(header) or len(numbers) >= max(1, len(header) - 1):
        message = f"{path} has no header: its first row is {', '.join(header)[:100] or 'empty'}"
        raise DataError("EK-DATA-002", message, "name the columns in the first row: x1,x2,y")
    if twice:
        raise DataError("EK-DATA-002", f"{path} has two columns called {', '.join(twice)}")
    return header


def _is_number(text: str) -> bool:
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def _label(reading: Reading, header: list[str]) -> str | None:
    if reading.label is None:
        called = {name.lower(): name for name in reversed(header)}
        return next((called[name] for name in LABEL_COLUMNS if name in called), None)
    if reading.label not in header:
        message = f"{reading.path} has no column {reading.label!r} for labels"
        raise DataError("EK-DATA-016", message, f"its columns are {', '.join(header)[:300]}")
    return reading.label
