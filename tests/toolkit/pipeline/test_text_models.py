"""A model of texts from data to verdict: CTC outputs of a real Keras model, strings as labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from forking import tensorflow_script
from PIL import Image
from tflite_files import G, N, T, build

from conftest import answer, once
from edgekit import Project, convert

MAKE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
from pathlib import Path
folder, rng = Path(sys.argv[1]), np.random.default_rng(3)
tokens, x, texts = "abcde ", rng.normal(0, 0.08, (150, 30, 7)), []
for item in x:
    words = [rng.integers(0, 5, rng.integers(1, 4)) for _ in range(2)]
    at, ids = 0, [*words[0], 5, *words[1]]
    item[:, 0] += 0.5
    for one in ids:
        width = rng.integers(2, 4)
        item[at : at + width, 1 + one] += 1
        at += width + 1
    texts.append("".join(tokens[one] for one in ids))
ids = np.full((150, 8), -1, np.int64)
for row, text in zip(ids, texts):
    row[: len(text)] = [1 + tokens.index(one) for one in text]
x = x.astype("float32")
np.savez(folder / "texts.npz", x=x, y=np.array(texts))
np.savez(folder / "ids.npz", x=x, y=ids)
model = keras.Sequential([keras.Input((30, 7)), keras.layers.Conv1D(7, 3, padding="same"),
                          keras.layers.Dense(7, activation="softmax")])
smooth = np.zeros((3, 7, 7), "float32")
smooth[1] = np.eye(7)
smooth[0] = smooth[2] = 0.05 * np.eye(7)
model.layers[0].set_weights([smooth, np.zeros(7)])
model.layers[1].set_weights([6 * np.eye(7), np.zeros(7)])
model.save(folder / "ctc.keras")
"""


def scores(order: list[int]) -> bytes:
    """A file that gives its input ``x`` [1, 30, 7] back, the tokens in another order."""
    weights = np.eye(7, dtype=np.float32)[order]
    tensors = [T("x", [1, 30, 7]), T("w", [7, 7], data=weights), T("y", [1, 30, 7])]
    options = {"kind": "FullyConnectedOptions", "keepNumDims": True}
    node = N("FULLY_CONNECTED", ["x", "w", None], ["y"], 2, options)
    return build(G(tensors, [node], ["x"], ["y"]))


pytestmark = pytest.mark.usefixtures("untimed", "lent_worker")


@pytest.fixture(scope="session")
def texts(shared: Path) -> Path:
    """``ctc.keras``, ``scores.tflite`` alone, ``swapped.tflite`` with two tokens changed, texts."""

    def make(folder: Path) -> None:
        tensorflow_script(MAKE, folder)
        for name, order in (("scores", range(7)), ("swapped", (0, 2, 1, 3, 4, 5, 6))):
            (folder / f"{name}.tflite").write_bytes(scores(list(order)))

    return once(shared / "texts", make)


def test_a_ctc_model_is_converted_and_judged_by_its_words(texts: Path, tmp_path: Path) -> None:
    table = {
        "model": {"source": str(texts / "ctc.keras")},
        "data": {"evaluate": str(texts / "texts.npz")},
        "convert": {"precisions": ["float32", "dynamic", "int8"]},
        "evaluate": {"text": {"alphabet": "abcde ", "blank": "first"}},
    }
    report = convert(Project.parse(table, tmp_path))
    assert report.settings["metric"] == "wer"
    assert report.settings["task"]["name"] == "text"
    base = report.reference_evaluation.metrics["wer"]
    assert (base.value, base.n) == (pytest.approx(0.0, abs=0.1), 120)
    statuses = {one.id.partition("@")[0]: one.status.value for one in report.candidates}
    assert statuses == {"float32": "passed", "dynamic": "passed", "int8": "passed"}
    for one in report.candidates:
        assert one.evaluation.drop["wer"].value == pytest.approx(0, abs=0.02)
    done = answer("check", tmp_path / ".edgekit/runs" / report.run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_two_tokens_that_change_places_are_a_proven_rise(texts: Path, tmp_path: Path) -> None:
    words = [texts / "scores.tflite", texts / "swapped.tflite", "--data", texts / "texts.npz"]
    how = ["--alphabet", "abcde ", "--blank", "first", "--no-latency", "--json"]
    done = answer("compare", *words, *how, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["verdict"]["checks"] if one["status"] == "failed"] == [
        "wer drop"
    ]
    assert found["contrasts"][0]["drop"]["low"] > 0.3


def test_numbers_as_labels_need_no_word_of_the_blank(texts: Path, tmp_path: Path) -> None:
    words = [texts / "scores.tflite", "--data", texts / "ids.npz", "--json"]
    done = answer("evaluate", *words, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["settings"]["task"] == {
        "name": "text",
        "reason": "labels are up to 8 tokens, and the output scores 7 tokens at each of 30 steps",
    }
    assert found["settings"]["metric"] == "cer"
    assert found["models"][0]["metric"]["value"] < 0.05
    assert "blank is the first" in found["advice"][0]["message"]


def test_the_texts_of_a_table_are_texts_even_where_they_are_digits(
    texts: Path, tmp_path: Path
) -> None:
    held = np.load(texts / "texts.npz")
    rows = held["x"][:30].reshape(30, -1)
    digits = [str(one).translate(str.maketrans("abcde", "01234")) for one in held["y"][:30]]
    names = ",".join(f"x[{k}]" for k in range(rows.shape[1]))
    cells = [[*map(str, row), text.split(" ")[0]] for row, text in zip(rows, digits, strict=True)]
    lines = [",".join(row) for row in cells]
    (tmp_path / "rows.csv").write_text("\n".join([f"{names},y", *lines]))
    (tmp_path / "first.py").write_text(
        "import numpy as np\n\n\ndef words(outputs):\n"
        "    best = next(iter(outputs.values())).argmax(-1)\n"
        "    rows = [[k for a, k in zip([-1, *row], row) if k != a and k] for row in best]\n"
        "    return np.array([''.join('#01234 '[k] for k in row).split(' ')[0] for row in rows])\n"
    )
    words = [texts / "scores.tflite", "--data", "rows.csv", "--task", "text"]
    done = answer("evaluate", *words, "--postprocess", "first.py:words", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["models"][0]["metric"]["value"] < 0.1
    assert found["settings"]["metric"] == "wer"


def test_files_are_compared_without_a_word_on_their_texts(texts: Path, tmp_path: Path) -> None:
    words = [texts / "scores.tflite", texts / "scores.tflite", "--data", texts / "texts.npz"]
    done = answer("compare", *words, "--no-latency", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["contrasts"][0]["parity"]["y"]["max_abs_error"]["value"] == 0
    assert "EK-NOTE-075" in [one["code"] for one in found["advice"]]


def test_pictures_have_their_texts_in_files_beside_them(tmp_path: Path) -> None:
    """A file that reads the brightest of four places at each of eight columns."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "words").mkdir()
    words = ["abc", "ca", "b b", "cab"]
    for number, word in enumerate(words):
        pixels = np.zeros((4, 8), np.uint8)
        pixels[3] = 100
        for at, letter in enumerate(word):
            pixels["abc".find(letter) if letter != " " else 3, 2 * at] = 255
        Image.fromarray(pixels).save(tmp_path / f"pictures/p{number}.png")
        (tmp_path / f"words/p{number}.txt").write_text(f"{word.replace(' ', '')}\n")
    tensors = [
        T("x", [1, 4, 8, 1]),
        T("order", [4], "INT32", np.array([0, 3, 2, 1], np.int32)),
        T("columns", [1, 1, 8, 4]),
        T("shape", [4], "INT32", np.array([0, 2, 1, 3], np.int32)),
        T("turned", [1, 8, 1, 4]),
        T("sizes", [3], "INT32", np.array([1, 8, 4], np.int32)),
        T("y", [1, 8, 4]),
    ]
    nodes = [
        N("TRANSPOSE", ["x", "order"], ["columns"]),
        N("TRANSPOSE", ["columns", "shape"], ["turned"]),
        N("RESHAPE", ["turned", "sizes"], ["y"]),
    ]
    (tmp_path / "ocr.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    asked = ["ocr.tflite", "--data", "pictures", "--annotations", "words", "--task", "text"]
    how = ["--alphabet", "abc", "--blank", "last"]
    done = answer("evaluate", *asked, *how, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["models"][0]["outputs"]["cer"]["value"] == 0
    (tmp_path / "words/p1.txt").write_text("cb")
    done = answer("evaluate", *asked, *how, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["models"][0]["outputs"]["cer"]["value"] == pytest.approx(1 / 10)
    (tmp_path / "words/p1.txt").unlink()
    done = answer("evaluate", *asked, *how, cwd=tmp_path)
    assert (done.returncode, "has no p1.txt" in done.stderr) == (2, True)


def test_strings_are_no_labels_of_another_task(texts: Path, tmp_path: Path) -> None:
    words = [texts / "scores.tflite", "--data", texts / "texts.npz", "--task", "classification"]
    done = answer("evaluate", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "EK-DATA-009" in done.stderr
