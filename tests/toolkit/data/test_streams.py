"""What functions and TFRecord files give: streamed, in the order given, and refused by item."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forking import tensorflow_script
from sources import opened

from conftest import once
from edgekit import data
from edgekit.data.blocks import Writer
from edgekit.errors import DataError, EdgekitError, ProjectError
from edgekit.worker import Worker

FUNCTIONS = """
import numpy as np

def arrays():
    return np.arange(12.0).reshape(3, 4), np.array([0, 1, 2]), {"camera": np.array(["a", "b", "a"])}

def inputs():
    return {"left": np.ones((3, 4)), "right": np.ones((3, 2))}, [0, 1, 2]

def unlabelled():
    return np.ones((3, 4)), None

def items():
    for number in range(5):
        yield np.full(4, number, np.float32), number, {"clip": f"clip {'long ' * number}"}

def batches():
    for number in range(3):
        yield {"left": np.full((2, 4), number), "right": np.ones((2, 1))}, np.array([number, 0])

def alone():
    for number in range(3):
        yield np.full((4, 4), number, np.uint8)

def widening():
    for value in (1, 2, 2.5):
        yield np.ones(2), value

def changing():
    yield np.ones(4), 0
    yield np.ones(3), 1

def forgetful():
    yield {"left": np.ones(4), "right": np.ones(1)}, 0
    yield {"left": np.ones(4)}, 1

def four():
    return 1, 2, 3, 4

def listed():
    return [np.ones(4)]

def nothing():
    yield from ()

def doubled():
    return np.ones((3, 4)), np.arange(3), {"x": np.arange(3)}

def uneven():
    return np.ones((3, 4)), np.arange(2)

def failing():
    yield np.ones(4), 0
    raise KeyError("lost")
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(tmp_path_factory.mktemp("worker") / "log.txt") as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data.py").write_text(FUNCTIONS)
    return tmp_path


def test_function_returns_arrays_and_columns(folder: Path, worker: Worker) -> None:
    found = opened("data.py:arrays", folder, worker=worker)
    assert found.open("x").shape == (3, 4)
    assert found.open_labels().tolist() == [0, 1, 2]
    assert found.columns(["camera"])["camera"].tolist() == ["a", "b", "a"]


def test_function_returns_several_inputs(folder: Path, worker: Worker) -> None:
    found = opened("data.py:inputs", folder, worker=worker)
    assert {name: found.open(name).shape for name in found.arrays} == {
        "left": (3, 4),
        "right": (3, 2),
    }


def test_function_may_give_no_labels(folder: Path, worker: Worker) -> None:
    assert opened("data.py:unlabelled", folder, worker=worker).labels is None
    found = opened("data.py:alone", folder, worker=worker)
    assert found.labels is None
    assert found.open("x")[:, 0, 0].tolist() == [0, 1, 2]


def test_generator_gives_items_with_columns(folder: Path, worker: Worker) -> None:
    found = opened("data.py:items", folder, worker=worker)
    assert found.open("x")[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert found.open_labels().tolist() == [0, 1, 2, 3, 4]
    assert found.columns(["clip"])["clip"][4] == "clip long long long long "


def test_generator_gives_batches(folder: Path, worker: Worker) -> None:
    found = opened("data.py:batches", folder, worker=worker)
    assert found.open("left")[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert found.open_labels().tolist() == [0, 0, 1, 0, 2, 0]


def test_no_value_is_cut_when_a_later_one_is_wider(folder: Path, worker: Worker) -> None:
    found = opened("data.py:widening", folder, worker=worker)
    assert found.open_labels().tolist() == [1, 2, 2.5]


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("changing", "EK-DATA-007", "item 1 of 'x' is shaped [3], those before it [4]"),
        ("forgetful", "EK-DATA-007", "item 1 has other arrays than the first: right"),
        ("four", "EK-DATA-006", "a tuple of 4"),
        ("listed", "EK-DATA-006", "returned list"),
        ("nothing", "EK-DATA-003", "has no items"),
        ("doubled", "EK-DATA-006", "x is an input or the labels, and a column"),
        ("uneven", "EK-DATA-007", "'x' has 3, 'y' has 2"),
        ("failing", "EK-PROJECT-008", "raised an error"),
    ],
)
def test_function_is_refused_with_the_item(
    folder: Path, worker: Worker, function: str, code: str, words: str
) -> None:
    with pytest.raises((DataError, ProjectError)) as refused:
        opened(f"data.py:{function}", folder, worker=worker)
    assert refused.value.code == code
    assert words in refused.value.message


def test_writer_refuses_numbers_among_strings(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "source")
    writer.add({"a": "text"})
    writer.add({"a": 1})
    with pytest.raises(DataError, match="item 1 of 'a' is int64"):
        writer.close()


# --- TensorFlow's own: TFRecord files and tf.data ------------------------------------------------

RECORDS = """
import io, json, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from PIL import Image
from edgekit.data.formats import function, records
from edgekit.errors import EdgekitError
from edgekit.types import Feature, Preprocess

HERE = Path(sys.argv[1])
outcomes = {}

def feature(value):
    if isinstance(value, (bytes, str)):
        value = value.encode() if isinstance(value, str) else value
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    values = np.ravel(value)
    if values.dtype.kind in "iu":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))

def write(name, items, **options):
    with tf.io.TFRecordWriter(str(HERE / name), **options) as writer:
        for item in items:
            features = tf.train.Features(feature={k: feature(v) for k, v in item.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())

def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()

numbers = [{"x": np.arange(4.0) + k, "y": k, "camera": "ab"[k % 2]} for k in range(5)]
pictures = [{"image/encoded": png(k), "image/class/label": k, "image/height": 6, "image/width": 8,
             "image/class/text": "cat", "image/filename": f"{k}.png"} for k in range(3)]
write("numbers.tfrecord", numbers)
write("packed.tfrecord", numbers, options="GZIP")
write("parts.tfrecord-00000-of-00002", numbers[:2])
write("parts.tfrecord-00001-of-00002", numbers[2:])
write("pictures.tfrecord", pictures)
write("odd.tfrecord", [*numbers, {"x": np.arange(4.0), "y": 1}])
write("short.tfrecord", [*numbers, {"x": np.arange(3.0), "y": 1, "camera": "a"}])
write("broken.tfrecord", [pictures[0], {**pictures[1], "image/encoded": png(1)[:60]}])
write("two.tfrecord", [{"a": png(0), "b": png(1), "y": 1}])
write("bytes.tfrecord", [{"x": b"\\x00\\x01raw", "y": 1}])
whole = (HERE / "numbers.tfrecord").read_bytes()
(HERE / "truncated.tfrecord").write_bytes(whole[:-9])
(HERE / "flipped.tfrecord").write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
with tf.io.TFRecordWriter(str(HERE / "other.tfrecord")) as writer:
    writer.write(b"\\xffno message")

def case(name, call):
    folder = HERE / name
    folder.mkdir()
    try:
        facts = call(folder)
        arrays = {n: np.load(folder / e["file"]) for n, e in facts["arrays"].items()}
        outcomes[name] = {
            **{n: [list(a.shape), str(a.dtype), a.ravel()[:4].tolist()] for n, a in arrays.items()},
            "beside": facts["beside"],
        }
    except EdgekitError as error:
        outcomes[name] = f"{error.code} {error.message}"

def read(file, columns=(), label=None, spec=Preprocess(color="rgb"), stated={}):
    return lambda folder: records.convert(
        file, tuple(records.shards(HERE / file)), spec, True, columns, label, stated, folder)

raw = [{"raw": np.arange(6, dtype="<i2").tobytes(), "kind": k, "note": "a"} for k in range(3)]
write("raw.tfrecord", [*raw[:2], {"raw": raw[2]["raw"], "note": "b"}])
pixels = {"raw": Feature((2, 3), "int16", name="x")}
kind = {"kind": Feature((), "int64", default=9)}
case("stated", read("raw.tfrecord", ("note",), "kind", stated={**pixels, **kind}))
case("filled not", read("raw.tfrecord", stated={**pixels, "kind": Feature((), "int64")}))
case("misshaped", read("raw.tfrecord", stated={"raw": Feature((7,), "int16")}))
case("halved", read("raw.tfrecord", stated={"raw": Feature((3,), "float64")}))
case("narrowed", read("numbers.tfrecord", stated={"x": Feature((4,), "float32"),
                                                   "y": Feature((), "uint8", name="y")}))
case("too narrow", read("numbers.tfrecord", stated={"x": Feature((4,), "uint8", name="x"),
                                                     "camera": Feature((), "image")}))
case("picture", read("pictures.tfrecord", stated={
    "image/encoded": Feature((), "image", name="x"), "image/class/label": Feature((), "int64")}))

for name in ("numbers", "packed"):
    case(name, read(f"{name}.tfrecord", ("camera",)))
case("shards", read("parts.tfrecord-*", ("camera",)))
case("pictures", read("pictures.tfrecord"))
case("resized", read("pictures.tfrecord", spec=Preprocess(color="grayscale", resize=(4, 4))))
case("relabelled", read("numbers.tfrecord", ("camera",), "quality"))
for name in ("odd", "short", "broken", "truncated", "flipped"):
    case(name, read(f"{name}.tfrecord", ("camera",)))
for name in ("bytes", "other", "two"):
    case(name, read(f"{name}.tfrecord"))

(HERE / "data.py").write_text('''
import numpy as np, tensorflow as tf
x, y = np.arange(20, dtype=np.float32).reshape(5, 4), np.arange(5)
def items(): return tf.data.Dataset.from_tensor_slices((x, y))
def batches(): return items().batch(2)
def one_hot(): return tf.data.Dataset.from_tensor_slices((x, np.eye(5)))
def columns(): return tf.data.Dataset.from_tensor_slices(
    ({"left": x}, y, {"camera": ["a", "b", "a", "b", "c"]})).batch(2)
def unlabelled(): return tf.data.Dataset.from_tensor_slices(x)
def endless(): return items().repeat()
''')
for name in ("items", "batches", "one_hot", "columns", "unlabelled", "endless"):
    case(name, lambda folder: function.materialize(f"data.py:{name}", HERE, folder))
(HERE / "outcomes.json").write_text(json.dumps(outcomes))
"""


@pytest.fixture(scope="session")
def streamed(shared: Path) -> dict[str, Any]:
    """What TFRecord files and functions with ``tf.data`` were read as, or their errors."""

    def make(folder: Path) -> None:
        (folder / "script.py").write_text(RECORDS)
        tensorflow_script(folder / "script.py", folder)

    return dict(json.loads((once(shared / "streamed", make) / "outcomes.json").read_text()))


@pytest.mark.parametrize("name", ["numbers", "packed", "shards"])
def test_features_are_arrays_by_name(streamed: dict[str, Any], name: str) -> None:
    assert streamed[name] == {
        "x": [[5, 4], "float32", [0, 1, 2, 3]],
        "y": [[5], "int64", [0, 1, 2, 3]],
        "camera": [[5], "<U1", ["a", "b", "a", "b"]],
        "beside": ["camera"],
    }


def test_encoded_pictures_and_their_class_are_known_by_name(streamed: dict[str, Any]) -> None:
    found = streamed["pictures"]
    assert found["x"][:2] == [[3, 6, 8, 3], "uint8"]
    assert found["y"] == [[3], "int64", [0, 1, 2]]
    assert found["file"][2] == ["0.png", "1.png", "2.png"]
    assert set(found) == {"x", "y", "file", "beside"}
    assert streamed["resized"]["x"][0] == [3, 4, 4, 1]


def test_stated_features_have_their_shape_dtype_and_default(streamed: dict[str, Any]) -> None:
    assert streamed["stated"] == {
        "x": [[3, 2, 3], "int16", [0, 1, 2, 3]],
        "y": [[3], "int64", [0, 1, 9]],
        "note": [[3], "<U1", ["a", "a", "b"]],
        "beside": ["note"],
    }
    # What is not stated is not read.
    assert streamed["narrowed"] == {
        "x": [[5, 4], "float32", [0, 1, 2, 3]],
        "y": [[5], "uint8", [0, 1, 2, 3]],
        "beside": [],
    }
    assert streamed["picture"]["x"][:2] == [[3, 6, 8, 3], "uint8"]
    assert streamed["picture"]["y"] == [[3], "int64", [0, 1, 2]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("filled not", "EK-DATA-086 raw.tfrecord: record 2 has no feature 'kind'"),
        ("misshaped", "EK-DATA-086 raw.tfrecord: record 0: 'raw' has 6 values, not [7]"),
        ("halved", "record 0: 'raw' has 12 bytes, which are not whole float64"),
        ("too narrow", "record 0: 'camera' is not an encoded picture"),
        ("odd", "EK-DATA-007 odd.tfrecord: item 5 has other arrays than the first: camera"),
        ("short", "EK-DATA-007 short.tfrecord: item 5 of 'x' is shaped [3], those before it [4]"),
        ("broken", "EK-DATA-003 broken.tfrecord: record 1, 'image/encoded' cannot be read"),
        ("truncated", "truncated.tfrecord: record 4 cannot be read"),
        ("flipped", "flipped.tfrecord: record 0 cannot be read"),
        ("bytes", "EK-DATA-009 bytes.tfrecord: record 0: 'x' is bytes, not an encoded image"),
        ("other", "other.tfrecord: record 0 "),
        ("two", "EK-DATA-010 two.tfrecord: record 0 has several features that are 'x'"),
        (
            "relabelled",
            "EK-DATA-016 numbers.tfrecord: record 0 has no feature 'quality' for labels",
        ),
        ("endless", "EK-DATA-006 data.py:endless never ends"),
    ],
)
def test_stream_is_refused_with_the_record(streamed: dict[str, Any], name: str, words: str) -> None:
    assert words in streamed[name]


@pytest.mark.parametrize("name", ["items", "batches"])
def test_tf_data_gives_items_or_batches(streamed: dict[str, Any], name: str) -> None:
    assert streamed[name]["x"] == [[5, 4], "float32", [0, 1, 2, 3]]
    assert streamed[name]["y"] == [[5], "int64", [0, 1, 2, 3]]


def test_tf_data_gives_labels_of_several_values_columns_and_none(streamed: dict[str, Any]) -> None:
    assert streamed["one_hot"]["y"][0] == [5, 5]
    assert streamed["columns"]["camera"] == [[5], "<U1", ["a", "b", "a", "b"]]
    assert streamed["columns"]["beside"] == ["camera"]
    assert set(streamed["unlabelled"]) == {"x", "beside"}


def test_shards_are_one_set_unless_one_is_missing(tmp_path: Path) -> None:
    for number in (0, 2):
        (tmp_path / f"test.tfrecord-{number:05d}-of-00003").write_bytes(bytes(16))
    every = tmp_path / "test.tfrecord-*"
    with pytest.raises(EdgekitError, match="has 2 of 3 shards") as refused:
        data.check_data_file(every)
    assert "name one shard alone" in refused.value.hint
    (tmp_path / "test.tfrecord-00001-of-00003").write_bytes(bytes(16))
    data.check_data_file(every)
    data.check_data_file(tmp_path)
    data.check_data_file(tmp_path / "test.tfrecord-00001-of-00003")


def test_record_file_is_refused_at_a_glance_when_cut_off(tmp_path: Path) -> None:
    (tmp_path / "cut.tfrecord").write_bytes(b"\x40" + bytes(30))
    with pytest.raises(EdgekitError, match="cannot be read as TFRecord") as refused:
        data.check_data_file(tmp_path / "cut.tfrecord")
    assert "cut off within its first record" in refused.value.hint


# --- larger than memory --------------------------------------------------------------------------

ANONYMOUS = """
import sys
from pathlib import Path
import numpy as np
from edgekit.data.formats import function

ITEM = 1 << 16

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

most = 0

def items():
    global most
    for number in range(int(sys.argv[2])):
        if number % 50 == 0:
            most = max(most, held())
        yield np.full(ITEM, number % 251, np.uint8), number, {"clip": f"clip {number // 10}"}

sys.modules["stream"] = sys.modules["__main__"]
folder = Path(sys.argv[1])
before = held()
facts = function.materialize("stream:items", folder, folder)
print(max(most, held()) - before, facts["arrays"]["x"]["count"])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is not told")
def test_anonymous_memory_does_not_grow_with_the_items(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(ANONYMOUS)
    grown = []
    for count in (200, 3200):
        folder = tmp_path / str(count)
        folder.mkdir()
        command = [sys.executable, tmp_path / "script.py", folder, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        held, items = map(int, done.stdout.split())
        assert items == count
        grown.append(held)
    # 12 and 200 MiB of items.
    assert max(grown) < 50 << 20
    assert grown[1] - grown[0] < 10 << 20
    assert np.load(tmp_path / "3200" / "000.npy", mmap_mode="r")[-1, 0] == 3199 % 251


# In the worker, where the second picture of the records is decoded.
FAULT = """
import ctypes, time
from edgekit import isolated
from edgekit.data import images
real, calls = images.read, []
def planted(*args):
    calls.append(args)
    if len(calls) == 2:
        {action}
    return real(*args)
images.read = planted
"""


@pytest.mark.slow
@pytest.mark.usefixtures("new_workers")
@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("isolated.SECONDS = 1; isolated.note(args[1]); time.sleep(9)", "SIGALRM"),
        ("held = bytearray(64 << 30)", "GiB of memory"),
    ],
    ids=["crash", "hang", "memory"],
)
def test_record_that_the_worker_does_not_survive_is_refused_by_its_number(
    tmp_path: Path,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    streamed: dict[str, Any],
    action: str,
    words: str,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAULT.format(action=action))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    source = shared / "streamed" / "pictures.tfrecord"
    with Worker(tmp_path / "log.txt") as worker, pytest.raises(DataError) as caught:
        opened(source, tmp_path, worker=worker)
    assert caught.value.code == "EK-DATA-003"
    assert f"{source}: record 1" in caught.value.message
    assert words in caught.value.hint
    assert not list((tmp_path / "store" / "data").glob("*"))
