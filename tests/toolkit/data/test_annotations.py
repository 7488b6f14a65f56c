"""Boxes of COCO JSON, VOC XML and YOLO text, matched to pictures by file name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.data import annotations
from edgekit.errors import DataError

NAMES = ["b/two.jpg", "one.png"]
CLASSES = ("cat", "dog")
# Of a picture 200 wide and 100 high.
CORNERS = [0.1, 0.2, 0.5, 0.6]
VOC = """<annotation><size><width>200</width><height>100</height></size>
<object><name>dog</name><difficult>{difficult}</difficult><bndbox><xmin>21</xmin><ymin>21</ymin>
<xmax>100</xmax><ymax>60</ymax></bndbox></object></annotation>"""


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "file_name": "two.jpg", "width": 200, "height": 100},
            {"id": 9, "file_name": "one.png", "width": 10, "height": 10},
            {"id": 8, "file_name": "other.png", "width": 10, "height": 10},
        ],
        "categories": [{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 7, "category_id": 2, "bbox": [20, 20, 80, 40], "iscrowd": 0}],
        **changes,
    }


def written(folder: Path, kind: str) -> Path:
    if kind == "coco":
        (folder / "instances.json").write_text(json.dumps(coco()))
        return folder / "instances.json"
    (folder / "boxes").mkdir()
    name, text = (
        ("two.xml", VOC.format(difficult=0))
        if kind == "voc"
        else ("two.txt", "1 0.3 0.4 0.4 0.4\n")
    )
    (folder / "boxes" / name).write_text(text)
    return folder / "boxes"


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_boxes_are_matched_by_file_name(tmp_path: Path, kind: str) -> None:
    found = annotations.read(written(tmp_path, kind), NAMES, CLASSES)
    assert found.shape == (2, 1, 6)
    assert found[0, 0] == pytest.approx([1, *CORNERS, 0], abs=1e-6)
    assert found[1, 0, 0] == -1


def test_a_crowd_and_what_is_difficult_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    crowd = {"image_id": 7, "category_id": 1, "bbox": [0, 0, 200, 100], "iscrowd": 1}
    path.write_text(json.dumps(coco(annotations=[crowd])))
    assert annotations.read(path, NAMES)[0, 0, 5] == 1
    (tmp_path / "two.xml").write_text(VOC.format(difficult=1))
    assert annotations.read(tmp_path, NAMES, CLASSES)[0, 0, 5] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"categories": [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog"}]}, "leave numbers out"),
        ({"annotations": [{"image_id": 1}]}, "not a COCO"),
        (
            {"annotations": [{"image_id": 7, "category_id": 2, "bbox": [10**400, 0, 1, 1]}]},
            "not a COCO",
        ),
        ({"annotations": []}, "no boxes for any"),
        (
            {"annotations": [{"image_id": 7, "category_id": 2, "bbox": [0, 0, -9, 4]}]},
            "not a box",
        ),
        ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [0, 0, 900, 4]}]}, "outside"),
    ],
)
def test_damaged_annotations_are_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(coco(**changes)))
    with pytest.raises(DataError, match=words):
        annotations.read(path, NAMES)


def test_a_class_that_the_model_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the model has no class 'dog'"):
        annotations.read(written(tmp_path, "coco"), NAMES, ("cat", "hound"))
    (tmp_path / "two.xml").write_text(VOC.format(difficult=0))
    with pytest.raises(DataError, match="not known"):
        annotations.read(tmp_path, NAMES)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "nothing", '{"images": 3}', "<!DOCTYPE a><a/>", "1 2 3", "0 nan 1 1 1"]
)
def test_damage_is_an_error_in_words(tmp_path: Path, text: str) -> None:
    for name in ("two.json", "two.xml", "two.txt"):
        folder = tmp_path / name[4:]
        folder.mkdir()
        (folder / name).write_text(text)
        with pytest.raises(DataError):
            annotations.read(folder / name if name == "two.json" else folder, NAMES, CLASSES)


def test_entities_are_refused_in_any_encoding(tmp_path: Path) -> None:
    laughs = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>'
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "two.xml").write_bytes(laughs.encode(encoding))
        with pytest.raises(DataError, match="declares entities"):
            annotations.read(tmp_path, NAMES, CLASSES)
