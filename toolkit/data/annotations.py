"""Boxes of pictures from COCO JSON, VOC XML or YOLO text, matched by the pictures' file names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import nearby
from edgekit.errors import DataError
from edgekit.isolated import ParserFailure, call_confined, note
from edgekit.sandbox import Sandbox

CODE = "EK-DATA-066"
MOST_BYTES = 1 << 30
# Class, left, top, right, bottom, crowd.
Box = tuple[int, float, float, float, float, float]
Boxes = npt.NDArray[np.float32]


def read(path: Path, names: Sequence[str], class_names: Sequence[str] = ()) -> Boxes:
    """Return boxes ``[n, most, 6]`` of pictures by file name: class, corners as shares, crowd or
    not.

    Rows of class -1 are empty. A ``.json`` file is COCO's, a folder holds ``.xml`` (VOC) or
    ``.txt`` (YOLO) files named like the pictures. Classes are numbered as in ``class_names``; in
    COCO's file else by the order of its ids. A picture that the annotations do not name has no
    boxes. Raises :class:`DataError` where a file is damaged, a class unknown, or no picture named.
    """
    if not path.exists():
        raise DataError(CODE, f"there are no annotations {path}", nearby.hint(path))
    refusal = ParserFailure(DataError, CODE, str(path), "annotations")
    sandbox = Sandbox((path.absolute(),))
    pictures = call_confined(sandbox, refusal, listed, path, list(names), list(class_names))
    if not any(pictures):
        hint = f"pictures are matched by file name, such as {names[0]!r}"
        raise DataError(CODE, f"{path} has no boxes for any of {len(names):,} pictures", hint)
    rows = np.zeros((len(names), max(map(len, pictures)), 6), np.float32)
    rows[..., 0] = -1
    for row, boxes in zip(rows, pictures, strict=True):
        if boxes:
            row[: len(boxes)] = boxes
    return rows


def listed(path: Path, names: Sequence[str], class_names: Sequence[str]) -> list[list[Box]]:
    """Return the boxes of each picture, in the process that reads: XML has a native parser."""
    if path.is_dir():
        return _of_folder(path, [Path(name).stem for name in names], class_names)
    return _of_coco(path, names, class_names)


def _of_coco(path: Path, names: Sequence[str], class_names: Sequence[str]) -> list[list[Box]]:
    """Read COCO's ``instances_*.json``: boxes as left, top, width and height in pixels."""
    document = _json(path)
    try:
        images = {entry["id"]: entry for entry in document["images"]}
        kinds = {entry["id"]: str(entry["name"]) for entry in document["categories"]}
        numbers = _numbers(path, kinds, class_names)
        by_name = {str(entry["file_name"]): entry["id"] for entry in images.values()}
        by_base = {Path(name).name: number for name, number in by_name.items()}
        boxes: dict[Any, list[Box]] = {}
        for entry in document["annotations"]:
            image = images[entry["image_id"]]
            left, top, width, height = map(float, entry["bbox"])
            wide, high = float(image["width"]), float(image["height"])
            corners = (left / wide, top / high, (left + width) / wide, (top + height) / high)
            crowd = float(bool(entry.get("iscrowd", 0)))
            box = _checked(path, (numbers[entry["category_id"]], *corners, crowd))
            boxes.setdefault(entry["image_id"], []).append(box)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        hint = f"{type(error).__name__}: {error}"
        raise DataError(CODE, f"{path} is not a COCO instances file", hint) from error
    chosen = (by_name.get(name, by_base.get(Path(name).name)) for name in names)
    return [boxes.get(number, []) for number in chosen]


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(CODE, f"{path} is larger than 1 GiB")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(CODE, f"{path} cannot be read as JSON", str(error)[:200]) from error
    if not isinstance(document, dict):
        raise DataError(CODE, f"{path} is not a COCO instances file", "it holds no table")
    return document


def _numbers(path: Path, kinds: Mapping[Any, str], class_names: Sequence[str]) -> Mapping[Any, int]:
    """Return the model's class number of each category: by name where names are given, else in
    order.
    """
    if not class_names:
        ids = sorted(kinds)
        gaps = ids != list(range(ids[0], ids[0] + len(ids))) if ids else False
        if gaps:
            message = f"{path}: category ids {ids[0]} to {ids[-1]} leave numbers out"
            hint = "say which class is which output: [data] labels = FILE or a list of names"
            raise DataError(CODE, message, hint)
        return {number: at for at, number in enumerate(ids)}
    return {number: _number(path, name, class_names) for number, name in kinds.items()}


def _number(path: Path, name: str, class_names: Sequence[str]) -> int:
    if name not in class_names:
        hint = f"the classes are {', '.join(class_names)[:200]}"
        raise DataError(CODE, f"{path}: the model has no class {name!r}", hint)
    return list(class_names).index(name)


def _of_folder(path: Path, stems: Sequence[str], class_names: Sequence[str]) -> list[list[Box]]:
    files = {file.stem: file for file in sorted(path.rglob("*")) if file.suffix in (".xml", ".txt")}
    if any(file.suffix == ".xml" for file in files.values()) and not class_names:
        hint = "VOC names its classes: give them in the order of the outputs, [data] labels"
        raise DataError(CODE, f"{path}: which class is which output is not known", hint)
    pictures: list[list[Box]] = []
    for stem in stems:
        file = files.get(stem)
        note(str(file or path))
        if file is None:
            pictures.append([])
        else:
            pictures.append(_voc(file, class_names) if file.suffix == ".xml" else _yolo(file))
    return pictures


def _voc(path: Path, class_names: Sequence[str]) -> list[Box]:
    """Read one picture's objects: corners in pixels from 1; a difficult one counts as a crowd."""
    import xml.etree.ElementTree as ET

    text = path.read_bytes()
    # In UTF-16 they would stand there with zeros between.
    if b"<!ENTITY" in text or b"<!DOCTYPE" in text or b"\0" in text:
        raise DataError(CODE, f"{path} declares entities, or is UTF-16: no VOC file does")
    try:
        root = ET.fromstring(text)  # noqa: S314  (entities are refused above)
        wide, high = (float(root.findtext(f"size/{name}") or "") for name in ("width", "height"))
        boxes = []
        for element in root.iter("object"):
            left, top, right, bottom = (
                float(element.findtext(f"bndbox/{name}") or "")
                for name in ("xmin", "ymin", "xmax", "ymax")
            )
            number = _number(path, element.findtext("name") or "", class_names)
            corners = ((left - 1) / wide, (top - 1) / high, right / wide, bottom / high)
            crowd = float(element.findtext("difficult") == "1")
            boxes.append(_checked(path, (number, *corners, crowd)))
    except (ET.ParseError, ValueError, ArithmeticError) as error:
        raise DataError(CODE, f"{path} is not a VOC annotation", str(error)) from error
    return boxes


def _yolo(path: Path) -> list[Box]:
    """Return one picture's boxes, a line each: class, centre x and y, width and height as
    shares.
    """
    boxes = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                number, x, y, width, height = map(float, line.split()[:5])
                corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
                boxes.append(_checked(path, (int(number), *corners, 0.0)))
    except (ValueError, ArithmeticError) as error:
        hint = f"a line is: class, centre x, centre y, width, height; {error}"
        raise DataError(CODE, f"{path} is not a YOLO annotation", hint) from error
    return boxes


def _checked(path: Path, box: Box) -> Box:
    number, left, top, right, bottom, _ = box
    finite = all(map(math.isfinite, box))
    if not finite or number < 0 or right < left or bottom < top or min(box[1:5]) < -0.5:
        raise DataError(CODE, f"{path}: {box[:5]} is not a box", "left < right and top < bottom")
    if max(box[1:5]) > 1.5:
        raise DataError(
            CODE, f"{path}: {box[:5]} lies outside of its picture", "is its size right?"
        )
    return box
