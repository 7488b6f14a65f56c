"""CSV tables, folders of arrays, and columns beside the inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sources import RAW, image, opened

from edgekit import data
from edgekit.data import match
from edgekit.errors import DataError
from edgekit.types import DataTypes, Preprocess, TensorSpec

PLAIN = "a,b,y\n1,2.5,0\n3,4,1\n"
ROOMS = "camera,a,b,label\nleft,1,2,cat\nright,3,4,dog\nleft,5,6,cat\n"


def write(folder: Path, text: str, name: str = "items.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_numeric_columns_are_one_input_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, PLAIN)
    found = opened("items.csv", tmp_path)
    assert found.open("x").tolist() == [[1, 2.5], [3, 4]]
    assert found.open("x").dtype == np.float32
    assert found.open_labels().tolist() == [0, 1]
    assert found.open_labels().dtype.kind in "iu"


def test_whole_numbers_stay_integers_as_narrow_as_holds_them(tmp_path: Path) -> None:
    write(tmp_path, "a,b,y\n0,255,1\n7,0,-300\n")
    found = opened("items.csv", tmp_path)
    assert found.open("x").dtype == np.uint8
    assert found.open_labels().dtype == np.int16


def test_text_labels_become_classes_and_named_columns_stay_beside(tmp_path: Path) -> None:
    write(tmp_path, ROOMS)
    found = opened("items.csv", tmp_path, columns=("camera",))
    assert found.class_names == ("cat", "dog")
    assert found.open_labels().tolist() == [0, 1, 0]
    assert found.columns(["camera", "y"])["camera"].tolist() == ["left", "right", "left"]
    assert set(found.arrays) == {"x"}


def test_columns_called_like_the_inputs_are_these_inputs(tmp_path: Path) -> None:
    write(tmp_path, "right,left[0],left[1],quality\n1,2,3,0.5\n4,5,6,0.25\n")
    inputs = (TensorSpec("left", (None, 2), "float32"), TensorSpec("right", (None, 1), "float32"))
    found = opened("items.csv", tmp_path, inputs=inputs, label="quality")
    assert found.open("left").tolist() == [[2, 3], [5, 6]]
    assert found.open("right").tolist() == [[1], [4]]
    assert found.open_labels().tolist() == [0.5, 0.25]
    assert set(match(found, inputs, RAW).inputs) == {"left", "right"}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("a,b,y\n1,2,0\n3,n/a,1\n", "EK-DATA-017", "line 3, column 'b': 'n/a' is not a number"),
        ("a,b,y\n1,2,0\n3,,1\n", "EK-DATA-017", "line 3, column 'b': '' is not a number"),
        ("a,b,y\n1,nan,0\n", "EK-DATA-017", "line 2, column 'b': 'nan' is not a number"),
        ("a,b,y\n1,2,0\n\n3,4\n", "EK-DATA-017", "line 4: 2 values for 3 columns"),
        ("a,b,y\n1,2,\n", "EK-DATA-017", "line 2, column 'y': '' is not a number"),
        ("1,2,0\n3,4,1\n", "EK-DATA-002", "has no header"),
        ("1.5,2,cat\n3,4,dog\n", "EK-DATA-002", "has no header"),
        (",a,y\n7,1,0\n3,2,1\n", "EK-DATA-002", "column 1 has no name, and holds '7'"),
        ("a,a,y\n1,2,0\n", "EK-DATA-002", "two columns called a"),
        ("a,b,y\n", "EK-DATA-003", "has no items"),
        ("y\n1\n", "EK-DATA-003", "holds no inputs"),
        ("a,b\n\udcff,1\n", "EK-DATA-003", "cannot be read as CSV"),
    ],
    ids=[
        "text",
        "empty",
        "nan",
        "count",
        "no label",
        "no header",
        "labelled row",
        "no name",
        "twice",
        "no rows",
        "no inputs",
        "not utf-8",
    ],
)
def test_table_is_refused_with_its_line_and_column(
    tmp_path: Path, text: str, code: str, words: str
) -> None:
    (tmp_path / "items.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=words) as refused:
        opened("items.csv", tmp_path)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        ",a,b,y\n0,1,2.5,0\n1,3,4,1\n",
        "Unnamed: 0,a,b,y\n1,1,2.5,0\n2,3,4,1\n",
        "a,b,y,\n1,2.5,0,\n3,4,1,\n",
        "a;b;y\n1;2,5;0\n3;4;1\n",
        "a\tb\tY\n1\t2.5\t0\n3\t4\t1\n",
    ],
    ids=["index", "pandas", "trailing", "semicolons", "tabs"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_and_pandas_write_is_the_same_table(
    tmp_path: Path, text: str, encoding: str
) -> None:
    (tmp_path / "items.csv").write_bytes(text.encode(encoding))
    found = opened("items.csv", tmp_path)
    assert found.open("x").tolist() == [[1, 2.5], [3, 4]]
    assert found.open_labels().tolist() == [0, 1]
    nameless = ",," in f",{text.splitlines()[0]}," or "Unnamed" in text
    assert any("which has no name" in notice for notice in found.notices) == nameless


def test_another_number_of_columns_names_them_and_the_options_that_mend_it(tmp_path: Path) -> None:
    inputs = (TensorSpec("features", (1, 2), "float32"),)
    write(tmp_path, "Id,a,b,y\n7,1,2.5,0\n9,3,4,1\n")
    with pytest.raises(DataError, match=r"takes 2 values per item, .* has 3 columns.*: Id, a, b"):
        opened("items.csv", tmp_path, inputs=inputs)
    found = opened("items.csv", tmp_path, inputs=inputs, columns=("Id",))
    assert found.open("x").tolist() == [[1, 2.5], [3, 4]]
    write(tmp_path, "a,b,species\n1,2.5,cat\n3,4,dog\n")
    with pytest.raises(DataError, match="'cat' is not a number") as refused:
        opened("items.csv", tmp_path, inputs=inputs)
    assert "--label-column species" in refused.value.hint
    found = opened("items.csv", tmp_path, inputs=inputs, label="species")
    assert found.class_names == ("cat", "dog")


def test_channels_last_data_is_brought_to_a_channels_first_model_on_request(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (5, 8, 9, 3), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(5))
    inputs = image("photo", 3, 8, 9)
    with pytest.raises(DataError, match=r"\[N, 3, 8, 9\]") as refused:
        match(opened("d.npz", tmp_path, inputs=inputs), inputs, RAW)
    assert "--layout nhwc" in refused.value.hint
    stated = Preprocess(layout="nhwc")
    found = opened("d.npz", tmp_path, stated, inputs=inputs)
    assert (found.open("x") == x.transpose(0, 3, 1, 2)).all()
    match(found, inputs, stated)
    already = opened("d.npz", tmp_path, Preprocess(layout="nchw"), inputs=image("photo", 8, 9, 3))
    assert already.open("x").shape == (5, 9, 3, 8)


def test_label_column_is_refused_when_it_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, PLAIN)
    with pytest.raises(DataError, match="no column 'quality' for labels") as refused:
        opened("items.csv", tmp_path, label="quality")
    assert "a, b, y" in refused.value.hint


def test_rows_fill_an_image_input_that_has_one_channel(tmp_path: Path) -> None:
    write(tmp_path, "a,b,c,d,y\n1,2,3,4,0\n")
    found = opened("items.csv", tmp_path)
    matched = match(found, image("digit", 2, 2, 1), Preprocess(1 / 255))
    assert "[N, 4] is taken as [N, 2, 2, 1], row by row" in matched.notices[0]
    with pytest.raises(DataError, match=r"items\.csv has"):
        match(found, image("photo", 1, 2, 2), RAW)


# --- folders of arrays ---------------------------------------------------------------------------


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """A folder of ``x.npy``, ``y.npy`` and the strings ``camera.npy``."""
    folder = tmp_path / "items"
    folder.mkdir()
    np.save(folder / "x.npy", np.arange(12, dtype=np.float32).reshape(3, 4))
    np.save(folder / "y.npy", np.array([0, 1, 1]))
    np.save(folder / "camera.npy", np.array(["left", "right", "left"]))
    return tmp_path


def test_folder_of_arrays_is_used_where_it_lies(arrays: Path) -> None:
    found = opened("items", arrays, columns=("camera",))
    assert found.arrays == {"x": arrays / "items" / "x.npy"}
    assert found.count == 3
    assert found.open_labels().tolist() == [0, 1, 1]
    assert found.columns(["camera"])["camera"].tolist() == ["left", "right", "left"]
    assert not list((arrays / "store").rglob("*.npy"))


def test_folder_of_arrays_has_another_digest_when_its_content_changed(arrays: Path) -> None:
    before = opened("items", arrays).digest
    assert opened("items", arrays).digest == before
    np.save(arrays / "items" / "x.npy", np.ones((3, 4), np.float32))
    assert opened("items", arrays).digest != before


@pytest.mark.parametrize(
    ("name", "array", "code", "words"),
    [
        ("x", np.full((3, 4), np.nan), "EK-DATA-008", "'x' has NaN"),
        ("x", np.ones((2, 4)), "EK-DATA-007", "differ in length"),
        ("x", np.array([{}, {}, {}], object), "EK-DATA-009", "'x' is of dtype object"),
    ],
    ids=["nan", "length", "objects"],
)
def test_folder_of_arrays_is_refused_when_an_array_is_bad(
    arrays: Path, name: str, array: np.ndarray, code: str, words: str
) -> None:
    np.save(arrays / "items" / f"{name}.npy", array)
    with pytest.raises(DataError, match=words) as refused:
        opened("items", arrays)
    assert refused.value.code == code


# --- columns -------------------------------------------------------------------------------------


def test_unknown_arrays_are_refused_until_they_are_named(arrays: Path) -> None:
    inputs = (TensorSpec("x", (None, 4), "float32"),)
    with pytest.raises(DataError, match="items holds camera, x") as refused:
        match(opened("items", arrays), inputs, RAW)
    assert "--slice NAME, --group NAME" in refused.value.hint
    found = match(opened("items", arrays, columns=("camera",)), inputs, RAW)
    assert set(found.inputs) == {"x"}


def test_column_may_be_an_input_as_well(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", age=np.array([3, 4]), y=np.array([0, 1]))
    found = opened("d.npz", tmp_path, columns=("age",))
    assert set(match(found, (TensorSpec("age", (None, 1), "int32"),), RAW).inputs) == {"age"}
    assert found.columns(["age"])["age"].tolist() == [3, 4]


def test_strings_are_refused_as_an_input(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.array(["a", "b"]))
    with pytest.raises(DataError, match="'x' is of dtype <U1") as refused:
        match(opened("d.npz", tmp_path), (TensorSpec("x", (None, 1), "float32"),), RAW)
    assert refused.value.code == "EK-DATA-009"


@pytest.mark.parametrize(
    ("name", "words"), [("kamera", "has no column 'kamera'"), ("x", "'x' has 4 values per item")]
)
def test_column_is_refused_when_it_cannot_be_one(arrays: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        opened("items", arrays).columns([name])
    assert refused.value.code == "EK-DATA-016"


# --- layout --------------------------------------------------------------------------------------


def test_channels_first_is_noticed_and_transposed_on_request(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (5, 3, 8, 9), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(5))
    inputs = image("photo", 8, 9, 3)
    with pytest.raises(DataError, match=r"\[N, 8, 9, 3\]") as refused:
        match(opened("d.npz", tmp_path), inputs, RAW)
    assert "--layout nchw" in refused.value.hint
    turned = opened("d.npz", tmp_path, Preprocess(layout="nchw"))
    assert (turned.open("x") == x.transpose(0, 2, 3, 1)).all()
    assert turned.digest != opened("d.npz", tmp_path).digest
    assert set(match(turned, inputs, RAW).inputs) == {"photo"}


def test_arrays_of_pictures_are_resized_as_files_are(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (2, 8, 9, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    found = opened("x.npy", tmp_path, Preprocess(resize=(4, 4), color="grayscale"))
    assert found.open("x").shape == (2, 4, 4, 1)


@pytest.mark.parametrize(
    ("x", "spec"),
    [
        (np.ones((2, 4)), Preprocess(layout="nchw")),
        (np.ones((2, 4, 4, 3)), Preprocess(resize=(2, 2))),
        (np.ones((2, 4, 4, 2), np.uint8), Preprocess(resize=(2, 2))),
    ],
    ids=["rank", "floats", "channels"],
)
def test_arrays_that_are_no_pictures_are_not_arranged(
    tmp_path: Path, x: np.ndarray, spec: Preprocess
) -> None:
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataError) as refused:
        opened("x.npy", tmp_path, spec)
    assert refused.value.code == "EK-DATA-019"


@pytest.mark.parametrize("name", ["items.txt", "model.tflite"])
def test_unknown_kinds_are_refused_with_what_is_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, "text", name)
    with pytest.raises(DataError) as refused:
        data.check_data_file(tmp_path / name)
    assert refused.value.code == "EK-DATA-002"
    for kind in (".npz", ".npy", "pictures by class", ".tfrecord", ".csv", "data.py:test"):
        assert kind in refused.value.hint


def test_table_with_a_line_beyond_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1," + "2" * (1 << 24) + "\n")
    with pytest.raises(DataError, match="a line has 16,777,216 characters or more"):
        opened("t.csv", tmp_path)


def test_table_with_very_many_columns_is_looked_at_once(tmp_path: Path) -> None:
    columns = [f"c{k}" for k in range(50_000)]
    (tmp_path / "t.csv").write_text(",".join([*columns, "c7"]) + "\n")
    with pytest.raises(DataError, match="two columns called c7"):
        opened("t.csv", tmp_path)


BIRDS = """island,mass,year,sex,y
Dream,3750,2007,male,0
Biscoe,NA,2008,female,1
Dream,3800.5,2007,female,1
"""
ISLANDS = {"island": ("Biscoe", "Dream"), "sex": ("female", "male"), "year": "ignore"}


def test_categories_become_a_value_each_and_rows_without_a_value_are_dropped(
    tmp_path: Path,
) -> None:
    write(tmp_path, BIRDS)
    found = opened("items.csv", tmp_path, types=DataTypes(ISLANDS, drop_missing=True))
    assert found.open("x").tolist() == [[0, 1, 3750, 0, 1], [0, 1, 3800.5, 1, 0]]
    assert found.open_labels().tolist() == [0, 1]
    said = " ".join(found.notices)
    assert "1 rows without a value are left out" in said
    assert "x is island=Biscoe, island=Dream, mass, sex=female, sex=male" in said


def test_stated_types_decide_the_dtype(tmp_path: Path) -> None:
    write(tmp_path, PLAIN.replace("2.5", "2"))
    assert opened("items.csv", tmp_path).open("x").dtype == np.uint8
    floats = DataTypes({"a": "float"})
    assert opened("items.csv", tmp_path, types=floats).open("x").dtype == np.float32


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (DataTypes(ISLANDS), "line 3, column 'mass': 'NA' is not a number"),
        (
            DataTypes({**ISLANDS, "island": ("Biscoe", "Torgersen")}, drop_missing=True),
            "line 2, column 'island': 'Dream' is not one of its categories Biscoe, Torgersen",
        ),
        (
            DataTypes({**ISLANDS, "mass": "integer"}, drop_missing=True),
            "line 4, column 'mass': '3800.5' is not a whole number",
        ),
        (DataTypes({"iland": "ignore"}), "has no column 'iland'; did you mean 'island'"),
        (DataTypes({**ISLANDS, "y": ("0", "1")}), "categories are stated for 'y'"),
    ],
    ids=["missing", "category", "integer", "unknown", "labels"],
)
def test_table_that_is_not_as_stated_is_refused(
    tmp_path: Path, types: DataTypes, words: str
) -> None:
    write(tmp_path, BIRDS)
    with pytest.raises(DataError, match=words):
        opened("items.csv", tmp_path, types=types)
