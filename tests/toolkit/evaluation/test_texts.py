"""Texts: greedy CTC decoding, token numbers, alphabets, and error rates by hand and by jiwer."""

from __future__ import annotations

import sys
from pathlib import Path

import jiwer
import numpy as np
import pytest

from edgekit.errors import DataError, ProjectError
from edgekit.evaluation.metrics import METRICS, drop, measure
from edgekit.evaluation.texts import TextReader, TextSpec, read_alphabet, reader, shown
from edgekit.evaluation.worst import worst

LABELS = np.array(["the cat sat", "a dog", "no", "on the mat"])
ANSWERS = np.array(["the cat sat", "a dog b", "on", "the mat"])


def scores(rows: list[list[int]], tokens: int) -> np.ndarray:  # type: ignore[type-arg]
    """Logits whose best tokens these are."""
    return np.eye(tokens, dtype=np.float32)[np.array(rows)] * 4 - 2


def of(
    alphabet: str = "",
    sizes: tuple[int | None, ...] = (8, 4),
    last: str = "",
    labels: object = None,
    **more: object,
) -> TextReader:
    given = None if labels is None else np.asarray(labels)
    return reader(TextSpec(tuple(alphabet), **more), sizes, last, given)  # type: ignore[arg-type]


def test_error_rates_by_hand() -> None:
    wer = measure(METRICS["wer"], LABELS, ANSWERS)
    # Nothing, one word too many, one other word, one word too few: of 9 words.
    assert (wer.value, wer.n) == (pytest.approx(3 / 9), 4)
    cer = measure(METRICS["cer"], LABELS, ANSWERS)
    # " b", n and o changed places, "on ": of 28 characters.
    assert cer.value == pytest.approx((2 + 2 + 3) / 28)


def test_error_rates_are_jiwers_over_the_whole_set() -> None:
    rng = np.random.default_rng(0)
    made = [
        ["".join(rng.choice(list("ab "), rng.integers(1, 12))) for _ in range(60)] for _ in range(2)
    ]
    labels, answers = [f"a{one}b" for one in made[0]], made[1]
    for name, oracle in (("wer", jiwer.wer), ("cer", jiwer.cer)):
        found = measure(METRICS[name], np.array(labels), np.array(answers))
        assert found.value == pytest.approx(oracle(labels, answers))
        assert found.low is not None
        assert found.high is not None
        assert found.low < (found.value or 0) < found.high


def test_a_drop_is_a_rise_and_long_utterances_count_for_more() -> None:
    labels = np.array(["a b c d e f g h i j", "k"] * 20)
    answers = np.where(np.arange(40) % 2 == 1, "x", labels)
    lost, _ = drop(METRICS["wer"], labels, labels, answers)
    # One word of eleven, in half of the utterances.
    assert lost.value == pytest.approx(1 / 11)
    assert lost.low is not None
    assert lost.low > 0
    assert lost.tool == "paired bootstrap over items"


def test_utterances_that_are_all_right_are_bounded_by_those_unseen() -> None:
    found = measure(METRICS["wer"], LABELS, LABELS)
    assert (found.value, found.low, found.high) == (0.0, 0.0, pytest.approx(0.602, abs=1e-3))


def test_empty_labels_and_answers_count() -> None:
    assert measure(METRICS["wer"], np.array(["", "a b"]), np.array(["c", ""])).value == 1.5
    assert measure(METRICS["wer"], np.array(["", ""]), np.array(["c", ""])).how == "unavailable"


def test_the_worst_utterances_show_both_texts() -> None:
    found = worst(METRICS["wer"], LABELS, ANSWERS, 2)
    assert [(one.item, one.score, one.label, one.answer) for one in found] == [
        (2, 1.0, "no", "on"),
        (1, 0.5, "a dog", "a dog b"),
    ]


@pytest.mark.parametrize(
    ("blank", "rows", "texts"),
    [
        # Tokens 1 to 3 are a, b, c where 0 is the blank.
        ("first", [[0, 1, 1, 0, 1, 2, 2, 0], [3, 3, 3, 3, 0, 0, 0, 0]], ["aab", "c"]),
        ("last", [[3, 0, 0, 3, 0, 1, 1, 3], [2, 2, 2, 2, 3, 3, 3, 3]], ["aab", "c"]),
        ("first", [[0] * 8, [1, 0, 2, 0, 3, 0, 1, 0]], ["", "abca"]),
    ],
)
def test_ctc_merges_repeats_and_then_leaves_out_blanks(
    blank: str, rows: list[list[int]], texts: list[str]
) -> None:
    found = of("abc", blank=blank).outputs(scores(rows, 4))
    assert found.tolist() == texts
    # Log-probabilities, a batch of one, and the numbers of an argmax say the same.
    logs = scores(rows, 4)[:, None] - 9
    assert of("abc", (1, 8, 4), "log softmax", blank=blank).outputs(logs).tolist() == texts
    frames = of("abc", (8,), "argmax", blank=blank).outputs(np.array(rows))
    assert frames.tolist() == texts


def test_decoded_token_numbers_are_neither_merged_nor_blanked() -> None:
    given = of("abc", (5,)).outputs(np.array([[0, 0, 1, -1, -1], [2, 1, 0, 2, -1]]))
    assert given.tolist() == ["aab", "cbac"]
    padded = of("_abc", (5,), padding=0).outputs(np.array([[1, 1, 2, 0, 0]], np.float32))
    assert padded.tolist() == ["aab"]


def test_labels_are_strings_or_padded_numbers() -> None:
    read = of("abc", blank="first")
    assert read.labels(np.array([[1, 2, 0, 0], [3, -1, -1, -1]])).tolist() == ["ab", "c"]
    assert read.labels(np.array(["ab", "c"])).tolist() == ["ab", "c"]


def test_the_blank_is_told_by_labels_or_by_its_name() -> None:
    assert of(labels=[[1, 3, 0], [2, 0, 0]]).blank == 0
    assert of(labels=[[1, 0, 2], [2, -1, -1]]).blank == 3
    assert reader(TextSpec(("a", "<pad>", "b", "c")), (8, 4), "", None).blank == 1
    with pytest.raises(ProjectError) as caught:
        of(labels=[[1, 2, 0], [2, 0, 0]])
    assert caught.value.code == "EK-PROJECT-047"
    assert "--blank first" in caught.value.hint


def test_tokens_without_an_alphabet_are_characters_but_no_words() -> None:
    read = of(labels=[[1, 3, 0], [2, 0, 0]])
    labels = read.labels(np.array([[1, 3, 0], [2, 0, 0]]))
    assert [shown(one) for one in labels] == ["1 3", "2"]
    answers = read.outputs(scores([[1, 1, 0, 3, 0, 0, 0, 0], [3, 2, 0, 0, 0, 0, 0, 0]], 4))
    assert measure(METRICS["cer"], labels, answers).value == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="without an alphabet there are no words"):
        measure(METRICS["wer"], labels, answers)


def test_an_alphabet_is_characters_or_a_file_of_tokens(tmp_path: Path) -> None:
    (tmp_path / "tokens.txt").write_text("▁the\n▁cat\ns\n|\n", encoding="utf-8")
    tokens = read_alphabet("tokens.txt", tmp_path)
    assert tokens == ("▁the", "▁cat", "s", "|")
    read = reader(TextSpec(tokens, blank="last", space="|"), (4, 5), "", None)
    assert read.outputs(scores([[0, 1, 2, 4], [3, 2, 4, 4]], 5)).tolist() == ["the cats", "s"]
    assert read_alphabet("ab ", tmp_path) == ("a", "b", " ")
    for alphabet, said in (("aba", "has 'a' several times"), ("gone.txt", "there is no alphabet")):
        with pytest.raises(DataError, match=said):
            read_alphabet(alphabet, tmp_path)
    with pytest.raises(DataError, match="the alphabet has 2 tokens, the model scores 4"):
        of("ab", blank="first")


def test_what_is_no_text_is_refused() -> None:
    for sizes in ((), (8, 4, 3), (None,) * 3):
        with pytest.raises(ProjectError, match="is not text"):
            of("abc", sizes, blank="first")
    with pytest.raises(ProjectError, match="the model's alphabet is not known"):
        of(labels=["ab"], blank="first")
    with pytest.raises(DataError, match="labels are int64"):
        measure(METRICS["wer"], np.arange(3), LABELS[:3])


def test_the_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(ProjectError) as caught:
        measure(METRICS["wer"], LABELS, ANSWERS)
    assert (caught.value.code, caught.value.hint) == (
        "EK-PROJECT-045",
        "install it: pip install 'edgekit[text]'",
    )
