"""Which items are judged: drawn with a seed, class by class, with their columns and groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_files import G, N, T, build

from edgekit.errors import DataError
from edgekit.pipeline.float_file import tflite_model
from edgekit.pipeline.items import Items
from edgekit.pipeline.plan import Options, Plan
from edgekit.pipeline.run import Run
from edgekit.pipeline.selection import select_items
from edgekit.project import Project
from edgekit.targets.runners.probe import probe_model
from edgekit.types import Silent

# Three of four items are of class 0; clips of ten.
COUNT = 200
Select = Callable[..., Items]


@pytest.fixture
def select(tmp_path: Path) -> Select:
    """Items of a project in ``tmp_path`` around the smallest model, as its tables say."""
    (tmp_path / "model.tflite").write_bytes(probe_model())
    x = np.random.default_rng(0).normal(size=(COUNT, 4)).astype(np.float32)
    np.savez(
        tmp_path / "d.npz",
        x=x,
        y=(np.arange(COUNT) % 4 == 0).astype(np.int64),
        camera=np.where(np.arange(COUNT) % 2, "left", "right"),
        clip=np.arange(COUNT) // 10,
    )

    def chosen(
        data: dict[str, Any] | None = None,
        evaluate: dict[str, Any] | None = None,
        labelled: bool = True,
        precision: str = "float32",
        **options: Any,
    ) -> Items:
        beside = {"slices": ["camera"], "group": "clip"}
        table = {
            "model": {"source": "model.tflite"},
            "data": data or {"evaluate": "d.npz"},
            "evaluate": beside if evaluate is None else evaluate,
            "convert": {"precisions": [precision]},
        }
        plan = Plan.of(Project.parse(table, tmp_path), Options(**options))
        with Run(plan, Silent()) as run:
            return select_items(run, tflite_model(run, tmp_path / "model.tflite"), labelled)

    return chosen


def test_columns_and_groups_are_those_of_the_judged_items(select: Select) -> None:
    items = select()
    assert items.columns["camera"].tolist() == ["right", "left"] * (COUNT // 2)
    assert items.groups is not None
    assert items.groups.tolist() == (np.arange(COUNT) // 10).tolist()
    calibrated = select(precision="int8")
    assert len(calibrated.index) == COUNT - COUNT // 5
    assert (calibrated.columns["camera"] == np.where(calibrated.index % 2, "left", "right")).all()


def test_equal_seeds_draw_equal_items(select: Select) -> None:
    first, again, other = (select(limit=40, seed=seed) for seed in (7, 7, 8))
    assert (first.index == again.index).all()
    assert (first.index != other.index).any()
    assert (np.diff(first.index) > 0).all()


def test_limit_draws_each_class_in_proportion(select: Select) -> None:
    evaluate = {"slices": ["camera", "clip"]}
    for seed in range(5):
        items = select(evaluate=evaluate, limit=40, seed=seed)
        assert items.labels is not None
        assert np.bincount(items.labels).tolist() == [30, 10]
        assert len(items.columns["camera"]) == 40


def test_limit_holds_beside_items_set_apart_for_calibration(select: Select) -> None:
    items = select(evaluate={"slices": ["camera", "clip"]}, precision="int8", limit=40)
    assert len(items.index) == 40
    assert items.representative_index is not None
    assert not np.isin(items.index, items.representative_index).any()


def test_limit_keeps_groups_whole(select: Select) -> None:
    items = select(limit=45, seed=1)
    assert items.groups is not None
    assert np.unique(items.groups, return_counts=True)[1].tolist() == [10] * 4
    assert len(select(limit=5).index) == 10


def test_items_without_labels_are_judged_by_metrics_that_need_none(
    select: Select, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.ones((6, 4), np.float32))
    items = select({"evaluate": "x.npy"}, {}, labelled=False)
    assert items.labels is None
    assert set(items.inputs) == {"x"}
    assert len(items.index) == 6
    with pytest.raises(DataError, match=r"x.npy has no labels"):
        select({"evaluate": "x.npy"}, {})


def test_column_that_is_not_there_is_refused_by_name(select: Select) -> None:
    with pytest.raises(DataError, match=r"d\.npz has no column 'kamera'") as refused:
        select(evaluate={"slices": ["kamera", "clip", "camera"]})
    assert "camera" in refused.value.hint


def test_class_numbers_may_be_floats(select: Select, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.ones((6, 4), np.float32), y=np.arange(6.0) % 2)
    items = select({"evaluate": "f.npz"}, {})
    assert items.metric.name == "accuracy"


def test_task_of_a_project_goes_before_what_labels_look_like(select: Select) -> None:
    assert select().task.facts == {
        "name": "classification",
        "reason": "labels are class numbers 0 to 1, and the model gives 4 values per item",
    }
    items = select(evaluate={"task": "regression", "slices": ["camera", "clip"]})
    assert items.metric.name == "mse"


def test_classes_are_refused_when_fewer_than_the_models_outputs(
    select: Select, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("a,b,c,d,y\n1,2,3,4,cat\n5,6,7,8,dog\n")
    with pytest.raises(DataError, match="2 classes, the model gives 4") as refused:
        select({"evaluate": "t.csv"}, {})
    assert refused.value.code == "EK-DATA-018"
    table = {"evaluate": "t.csv", "labels": ["bird", "cat", "cow", "dog"]}
    items = select(table, {})
    assert items.labels is not None
    assert items.labels.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("labels", "names", "words", "hint"),
    [
        ([1, 2, 3, 4, 1, 2], None, "labels are 1 to 4, the model has 4", "subtract 1"),
        ([0, 7, 1, 2, 3, 0], None, "labels are 0 to 7, the model has 4", "count from 0"),
        (
            [0, 1, 2, 3, 0, 1],
            ["a", "b", "c"],
            "there are 3 class names, the model gives 4 outputs",
            "'background'",
        ),
        (
            [0, 1, 2, 3, 0, 1],
            ["a", "b", "a", "c"],
            "'a' appears several times",
            "a name of its own",
        ),
        ([0, 1, 2, 3, 0, 1], ["a", "b", "c", "d", "e"], "5 class names", "one name per output"),
    ],
)
def test_labels_that_are_not_the_models_are_refused_before_anything_is_converted(
    select: Select,
    tmp_path: Path,
    labels: list[int],
    names: list[str] | None,
    words: str,
    hint: str,
) -> None:
    np.savez(tmp_path / "l.npz", x=np.ones((6, 4), np.float32), y=np.array(labels))
    table: dict[str, Any] = {"evaluate": "l.npz"}
    with pytest.raises(DataError, match=words) as refused:
        select({**table, "labels": names} if names else table, {})
    assert hint in refused.value.hint


def test_an_input_called_as_labels_are_is_an_input(tmp_path: Path) -> None:
    tensors = [T("x", [1, 2]), T("y", [1, 2]), T("sum", [1, 2])]
    add = N("ADD", ["x", "y"], ["sum"], options={"kind": "AddOptions"})
    (tmp_path / "model.tflite").write_bytes(build(G(tensors, [add], ["x", "y"], ["sum"])))
    x, y = np.ones((4, 2), np.float32), np.full((4, 2), 2, np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=y, sum=x + y)
    np.savez(tmp_path / "unlabelled.npz", x=x, y=y)
    for name, labelled in (("d", True), ("unlabelled", False)):
        table = {
            "model": {"source": "model.tflite"},
            "data": {"evaluate": f"{name}.npz"},
            "convert": {"precisions": ["float32"]},
        }
        plan = Plan.of(Project.parse(table, tmp_path), Options())
        with Run(plan, Silent()) as run:
            items = select_items(run, tflite_model(run, tmp_path / "model.tflite"), labelled)
        assert sorted(items.inputs) == ["x", "y"]
        assert (items.labels is not None) == labelled
        if items.labels is not None:
            assert items.labels.tolist() == (x + y).tolist()
