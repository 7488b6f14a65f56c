"""Folders of pictures: labels, size, colours, and what is refused by name."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sources import image, opened, picture

from conftest import edgekit
from edgekit import data
from edgekit.contracts.runner import typed
from edgekit.converters import flatbuffer
from edgekit.data import images, preprocessing
from edgekit.errors import DataError, ProjectError
from edgekit.pipeline import datasets
from edgekit.pipeline.plan import Options, Plan
from edgekit.project import Project
from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import python_runner
from edgekit.types import Preprocess, TensorSpec

SMALL = Preprocess(resize=(4, 6))


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two classes with two pictures each; the two first of one name."""
    for number, name in enumerate(("dog/1.png", "dog/2.jpg", "cat/1.png", "cat/3.bmp")):
        picture(tmp_path / "pets" / name, 8 + number, 12, number)
    return tmp_path


def test_class_folders_become_labels_in_sorted_order(pets: Path) -> None:
    found = opened("pets", pets, SMALL)
    assert found.class_names == ("cat", "dog")
    assert found.open_labels().tolist() == [0, 0, 1, 1]
    assert found.open("x").shape == (4, 4, 6, 3)
    assert found.open("x").dtype == np.uint8
    assert found.columns(["y"])["y"].tolist() == ["cat", "cat", "dog", "dog"]


def test_two_pictures_of_one_name_stay_two_items(pets: Path) -> None:
    found = opened("pets", pets, SMALL)
    assert found.names().tolist() == ["cat/1.png", "cat/3.bmp", "dog/1.png", "dog/2.jpg"]
    assert (found.open("x")[0] != found.open("x")[2]).any()


def test_labels_follow_the_order_of_the_models_classes(pets: Path) -> None:
    found = opened("pets", pets, SMALL, class_names=("dog", "bird", "cat"))
    assert found.class_names == ("dog", "bird", "cat")
    assert found.open_labels().tolist() == [2, 2, 0, 0]


def test_folder_is_refused_when_the_model_has_no_such_class(pets: Path) -> None:
    with pytest.raises(DataError, match="no class is called 'dog'") as refused:
        opened("pets", pets, SMALL, class_names=("cat", "dogs"))
    assert refused.value.code == "EK-DATA-018"
    assert "did you mean 'dogs'?" in refused.value.hint


def project_of(folder: Path, **more: object) -> Project:
    """A model that is trained on ``pets`` and judged by ``others``."""
    (folder / "model.py").write_text("def build(): ...\n")
    table = {"train": "pets", "evaluate": "others", **more}
    return Project.parse({"model": {"source": "model.py:build"}, "data": table}, folder)


def test_a_class_that_training_has_not_is_refused_before_anything_runs(pets: Path) -> None:
    for name in ("dogs", "cat"):
        picture(pets / "others" / name / "1.png", 8, 12)
    with pytest.raises(DataError, match="others has class folders that pets has not: dogs") as told:
        Plan.of(project_of(pets), Options())
    assert told.value.code == "EK-DATA-018"
    assert "did you mean 'dog'? pets has cat, dog" in told.value.hint
    assert Plan.of(project_of(pets, labels=["cat", "dog", "dogs"]), Options()).name


def test_classes_are_numbered_as_in_training_where_the_test_data_lacks_one(pets: Path) -> None:
    picture(pets / "others" / "dog" / "1.png", 8, 12)
    plan = Plan.of(project_of(pets), Options())
    run: Any = SimpleNamespace(project=plan.project, plan=plan)
    names = datasets.class_names(run)
    assert opened("others", pets, SMALL, class_names=names).open_labels().tolist() == [1]


def test_class_without_pictures_keeps_its_number_and_is_told(pets: Path) -> None:
    (pets / "pets" / "cow").mkdir()
    found = opened("pets", pets, SMALL)
    assert found.open_labels().tolist() == [0, 0, 2, 2]
    assert found.notices == ("pets: class 'cow' has no pictures",)


def test_numbers_as_class_names_count_in_the_order_of_text_and_it_is_told(tmp_path: Path) -> None:
    for name in ("0", "2", "10"):
        picture(tmp_path / "p" / name / "a.png", 4, 4)
    found = opened("p", tmp_path)
    assert found.class_names == ("0", "10", "2")
    assert "in the order of text" in found.notices[0]
    stated = opened("p", tmp_path, class_names=("0", "2", "10"))
    assert stated.open_labels().tolist() == [0, 2, 1]
    assert stated.notices == ()


def test_flat_folder_has_no_labels(tmp_path: Path) -> None:
    made = picture(tmp_path / "photos" / "a.png", 5, 7)
    (tmp_path / "photos" / "._a.png").write_bytes(b"resource fork")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    found = opened("photos", tmp_path)
    assert found.labels is None
    assert (found.open("x")[0] == made).all()
    with pytest.raises(DataError, match="photos has no labels"):
        found.open_labels()


def test_model_gives_the_size_and_colours_that_the_spec_leaves_open(pets: Path) -> None:
    found = opened("pets", pets, inputs=image("photo", 10, 10, 1))
    assert found.open("x").shape == (4, 10, 10, 1)
    (notice,) = found.notices
    assert "4 of 4 pictures are stretched to 10x10, the model's size" in notice
    assert "the app must do the same" in notice
    assert found.pictures == Preprocess(resize=(10, 10), color="grayscale")


def test_nothing_is_told_when_the_spec_states_the_size(pets: Path) -> None:
    assert opened("pets", pets, SMALL, inputs=image("photo", 4, 6, 3)).notices == ()


@pytest.mark.parametrize("method", sorted(images.FILTERS))
def test_pictures_are_stretched_as_pillow_does(tmp_path: Path, method: str) -> None:
    picture(tmp_path / "p" / "a.png", 9, 17)
    found = opened("p", tmp_path, Preprocess(resize=(4, 6), method=method))
    filtered = getattr(Image.Resampling, images.FILTERS[method])
    with Image.open(tmp_path / "p" / "a.png") as original:
        assert (found.open("x")[0] == np.asarray(original.resize((6, 4), filtered))).all()


def test_crop_keeps_the_aspect_and_takes_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    (tmp_path / "p").mkdir()
    Image.fromarray(pixels).save(tmp_path / "p" / "wide.png")
    cropped = opened("p", tmp_path, Preprocess(resize=(10, 10), crop="center")).open("x")
    stretched = opened("p", tmp_path, Preprocess(resize=(10, 10), method="nearest")).open("x")
    assert (cropped == 200).all()
    assert set(np.unique(stretched)) == {0, 200}


def test_grayscale_is_one_channel_by_the_weights_of_bt601(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "p" / "red.png")
    found = opened("p", tmp_path, Preprocess(color="grayscale"))
    assert found.open("x").shape == (1, 2, 2, 1)
    assert found.open("x")[0, 0, 0, 0] == 76


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("cat/1.png", lambda path: path.write_bytes(path.read_bytes()[:60])),
        ("dog/2.jpg", lambda path: path.write_bytes(path.read_bytes()[:400])),
        ("cat/3.bmp", lambda path: path.write_bytes(b"no picture")),
    ],
)
def test_broken_picture_is_named(pets: Path, name: str, damage: Callable[[Path], object]) -> None:
    damage(pets / "pets" / name)
    with pytest.raises(DataError, match=f"pets: {name} cannot be read as a picture") as refused:
        opened("pets", pets, SMALL)
    assert refused.value.code == "EK-DATA-003"


def test_pictures_of_two_sizes_are_refused_when_no_size_is_known(pets: Path) -> None:
    with pytest.raises(DataError, match=r"cat/3.bmp is 11x12, cat/1.png is 10x12") as refused:
        opened("pets", pets)
    assert "--resize HxW" in refused.value.hint


def test_picture_is_turned_upright_as_its_camera_noted(tmp_path: Path) -> None:
    """Orientation 6: the picture was taken with the camera turned to the left."""
    pixels = picture(tmp_path / "upright.png", 4, 6)
    noted = Image.Exif()
    noted[images.ORIENTATION] = 6
    (tmp_path / "p").mkdir()
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "p" / "turned.png", exif=noted)
    found = opened("p", tmp_path)
    assert (found.open("x")[0] == pixels).all()
    assert "1 of 1 pictures are rotated upright" in found.notices[0]


def test_bgr_is_rgb_in_the_other_order(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "p" / "a.png", 4, 6)
    found = opened("p", tmp_path, Preprocess(color="bgr"))
    assert (found.open("x")[0] == pixels[..., ::-1]).all()
    assert found.pictures is not None
    assert found.pictures.color == "bgr"
    np.savez(tmp_path / "d.npz", x=pixels[None])
    assert (
        opened("d.npz", tmp_path, Preprocess(color="bgr")).open("x")[0] == pixels[..., ::-1]
    ).all()


def test_tiff_is_read_and_what_is_no_picture_is_counted(pets: Path) -> None:
    with Image.open(pets / "pets" / "cat" / "1.png") as original:
        original.save(pets / "pets" / "cat" / "2.tiff")
    for name in ("dog/5.heic", "dog/6.HEIC", "cat/notes.txt"):
        (pets / "pets" / name).write_bytes(b"ftypheic")
    found = opened("pets", pets, SMALL)
    assert (found.open("x")[0] == found.open("x")[1]).all()
    (notice,) = found.notices
    assert "5 pictures are read, and left out are 2 .heic, 1 .txt" in notice
    assert "convert .heic to .png or .jpg" in notice


def test_pictures_take_the_size_and_layout_of_a_channels_first_model(pets: Path) -> None:
    found = opened("pets", pets, inputs=image("photo", 3, 10, 12))
    last = opened("pets", pets, inputs=image("photo", 10, 12, 3))
    assert found.open("x").shape == (4, 3, 10, 12)
    assert (found.open("x") == last.open("x").transpose(0, 3, 1, 2)).all()
    assert found.pictures is not None
    assert found.pictures.facts["model_layout"] == "nchw"


def test_links_are_followed_once(pets: Path) -> None:
    (pets / "pets" / "cat" / "back").symlink_to(pets / "pets")
    (pets / "pets" / "cow").symlink_to(pets / "more")
    picture(pets / "more" / "1.png", 4, 4)
    assert opened("pets", pets, SMALL).names().tolist() == [
        "cat/1.png",
        "cat/3.bmp",
        "cow/1.png",
        "dog/1.png",
        "dog/2.jpg",
    ]


def test_link_to_nothing_is_named(pets: Path) -> None:
    (pets / "pets" / "cat" / "9.png").symlink_to(pets / "gone.png")
    with pytest.raises(DataError, match=r"pets: cat/9\.png cannot be read: No such file"):
        opened("pets", pets, SMALL)


def test_sixteen_bit_picture_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(tmp_path / "p" / "deep.png")
    with pytest.raises(DataError, match=r"p: deep\.png has more than 8 bits per channel"):
        opened("p", tmp_path)


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda folder: folder.mkdir(), "EK-DATA-002", "without .npy files, pictures and"),
        (
            lambda folder: (picture(folder / "a.png", 2, 2), picture(folder / "b" / "c.png", 2, 2)),
            "EK-DATA-002",
            "holds pictures, and folders of pictures",
        ),
        (lambda folder: (folder.mkdir(), (folder / "a.png").touch()), "EK-DATA-003", "a.png"),
        (lambda path: (path.parent / "folders").mkdir(), "EK-DATA-001", "there is no data file"),
    ],
    ids=["no pictures", "mixed", "empty picture", "missing"],
)
def test_folder_is_refused_at_a_glance(
    tmp_path: Path, make: Callable[[Path], object], code: str, words: str
) -> None:
    make(tmp_path / "folder")
    with pytest.raises(DataError, match=words) as refused:
        data.check_data_file(tmp_path / "folder")
    assert refused.value.code == code
    assert code != "EK-DATA-001" or "did you mean 'folders'?" in refused.value.hint


def test_folder_is_read_again_when_a_picture_has_changed(pets: Path) -> None:
    before = opened("pets", pets, SMALL)
    assert opened("pets", pets, SMALL).digest == before.digest
    picture(pets / "pets" / "cat" / "1.png", 10, 12, seed=9)
    assert opened("pets", pets, SMALL).digest != before.digest


def test_spec_is_what_the_project_file_and_the_bundle_have() -> None:
    table = {"resize": [96, 128], "crop": "center", "color": "rgb", "scale": "1/255"}
    project = {"model": {"source": "m.tflite"}, "data": {"preprocess": table}}
    spec = Project.parse(project, Path()).data.preprocess.spec()
    assert spec == Preprocess(1 / 255, resize=(96, 128), crop="center", color="rgb")
    assert spec.facts == {
        "scale": 1 / 255,
        "offset": 0.0,
        "resize": [96, 128],
        "crop": "center",
        "color": "rgb",
        "method": "bilinear",
    }
    assert Preprocess().facts == {"scale": 1.0, "offset": 0.0}


@pytest.mark.parametrize(
    ("table", "spec"),
    [
        ({"scale": ["1/2", 1, 2], "offset": [0, 1, 0]}, Preprocess((0.5, 1, 2), (0, 1, 0))),
        ({"mean": 2, "std": "1/2"}, Preprocess(2.0, -4.0)),
        (
            {"scale": "1/255", "mean": [0.5, 0.25, 0], "std": [1, 2, 4]},
            Preprocess((1 / 255, 1 / 510, 1 / 1020), (-0.5, -0.125, 0)),
        ),
    ],
    ids=["per channel", "mean", "as torchvision"],
)
def test_mean_and_std_become_scale_and_offset(table: dict[str, object], spec: Preprocess) -> None:
    project = {"model": {"source": "m.tflite"}, "data": {"preprocess": table}}
    found = Project.parse(project, Path()).data.preprocess.spec()
    assert np.allclose(found.scale, spec.scale, rtol=1e-12)
    assert np.allclose(found.offset, spec.offset, rtol=1e-12)
    assert found.channels == spec.channels


@pytest.mark.parametrize("layout", ["last", "first"])
def test_scale_per_channel_is_the_same_here_and_in_the_runner(layout: str) -> None:
    spec = Preprocess((0.5, 1 / 3, 2.0), (0.0, -1.0, 7.0))
    raw = np.random.default_rng(0).integers(0, 255, (4, 5, 6, 3), dtype=np.uint8)
    by_hand = raw.astype(np.float32) * np.float32(spec.scale) + np.float32(spec.offset)
    if layout == "first":
        raw, by_hand = raw.transpose(0, 3, 1, 2), by_hand.transpose(0, 3, 1, 2)
    host = preprocessing.apply(raw, TensorSpec("x", (None, *raw.shape[1:]), "float32"), spec)
    info = python_runner.TensorInfo(0, raw.shape, np.dtype(np.float32), 0.0, 0)
    assert (host == by_hand).all()
    assert (python_runner.encode(raw, info, spec.arithmetic) == by_hand).all()
    quantized = python_runner.TensorInfo(0, raw.shape, np.dtype(np.int8), 4.0, -10)
    expected = np.clip(np.rint(by_hand / np.float32(4.0)) - 10, -128, 127)
    assert (python_runner.encode(raw, quantized, spec.arithmetic) == expected).all()


def test_scale_per_channel_is_refused_when_items_have_other_channels(pets: Path) -> None:
    spec, inputs = Preprocess((1.0, 2.0), (0.0, 0.0)), image("photo", 4, 6, 3)
    with pytest.raises(DataError, match="have 2 numbers, one per channel") as refused:
        data.match(opened("pets", pets, SMALL), inputs, spec)
    assert "3" in refused.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": [1, 2], "offset": [1, 2, 3]},
        {"std": 0},
        {"std": [1e-30, 1], "mean": [1e30, 0]},
        {"mean": []},
        {"resize": [96]},
        {"resize": [0, 4]},
        {"crop": "left"},
        {"method": "cubic"},
    ],
    ids=["channels", "std", "too large", "no mean", "one size", "no size", "crop", "method"],
)
def test_spec_is_refused_when_it_cannot_be_meant(wrong: dict[str, object]) -> None:
    project = {"model": {"source": "m.tflite"}, "data": {"preprocess": wrong}}
    with pytest.raises(ProjectError, match=r"data\.preprocess"):
        Project.parse(project, Path())


@pytest.mark.parametrize(
    ("size", "refused", "words"),
    [
        ("4x6", False, "evaluation: 4 items of pets"),
        ("4", True, "is not HEIGHTxWIDTH, such as 96x96"),
    ],
)
def test_command_line_takes_a_size(pets: Path, size: str, refused: bool, words: str) -> None:
    done = edgekit("lint-data", "--data", "pets", "--resize", size, "--crop", "center", cwd=pets)
    assert words in done.stdout + done.stderr
    assert (done.returncode == 2) == refused


def test_real_photos_are_classified_by_the_model_that_they_are_for(
    tmp_path: Path, test_data: Path
) -> None:
    coral = test_data / "coral"
    photos = {"Egyptian cat": "cat.bmp", "chickadee": "bird.bmp", "mortarboard": "grace_hopper.bmp"}
    for name, file in photos.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        shutil.copy(coral / file, tmp_path / "photos" / name)
    names = data.read_labels("imagenet_labels.txt", coral)
    spec = Preprocess(scale=1 / 127.5, offset=-1.0, resize=(128, 128))
    found = opened("photos", tmp_path, spec, class_names=names)
    device = LocalDevice(tmp_path / "requests", tmp_path / "log.txt")
    model = coral / "mobilenet_v1_0.25_128_quant.tflite"
    (given,) = flatbuffer.read(model).graphs[0].inputs
    (name,) = [flatbuffer.read(model).graphs[0].tensors[given].name]
    request = {
        "schema": 1,
        "mode": "evaluate",
        "runtime": "litert",
        "models": [{"id": "m", "path": str(model), "outputs": str(tmp_path / "out")}],
        "inputs": {name: str(found.arrays["x"])},
        "preprocess": {"scale": spec.scale, "offset": spec.offset},
    }
    device.run(typed(request))
    (scores,) = [np.load(path) for path in sorted((tmp_path / "out").glob("*.npy"))]
    # The smallest MobileNet sees the gown and the cap of the uniform's wearer.
    top = np.argsort(scores, axis=1)[:, ::-1][:, :2]
    assert [label in best for label, best in zip(found.open_labels(), top, strict=True)] == [
        True
    ] * 3


def test_one_picture_is_an_item_labelled_by_its_folder_where_that_is_a_class(pets: Path) -> None:
    alone = opened("pets/cat/3.bmp", pets, SMALL)
    assert alone.count == 1
    assert alone.labels is None
    assert alone.names().tolist() == ["3.bmp"]
    of_folder = opened("pets", pets, SMALL)
    assert (alone.open("x")[0] == of_folder.open("x")[1]).all()
    labelled = opened("pets/cat/3.bmp", pets, SMALL, class_names=("dog", "cat"))
    assert labelled.open_labels().tolist() == [1]
    assert labelled.columns(["y"])["y"].tolist() == ["cat"]
    # A folder that is called otherwise says nothing of the class.
    assert opened("pets/cat/3.bmp", pets, SMALL, class_names=("dog", "bird")).labels is None
    with pytest.raises(DataError, match="has no labels") as refused:
        alone.open_labels()
    assert "`edgekit compare` and `edgekit bench` need none" in refused.value.hint


def test_one_broken_picture_is_refused_by_name(pets: Path) -> None:
    (pets / "pets/cat/1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1\.png cannot be read as a picture"):
        opened("pets/cat/1.png", pets, SMALL)


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        ("nearest", "507e8d7d78e5be59"),
        ("area", "2239e5c71a738069"),
        ("bilinear", "4f6d373d610df485"),
        ("hamming", "730be6a57de03695"),
        ("bicubic", "5dc6ace9197de4e4"),
        ("lanczos", "e9b87a5e7d7f0a47"),
    ],
)
def test_pixels_do_not_depend_on_the_version_of_pillow(method: str, digest: str) -> None:
    # The digests are of Pillow 10.1's pixels; Pillow 13 resizes the height of these first.
    pixels = (np.arange(54 * 16 * 3) * 7919 % 251).astype(np.uint8).reshape(54, 16, 3)
    fitted = images.fitted(pixels, Preprocess(resize=(48, 22), method=method))
    assert hashlib.sha256(fitted.tobytes()).hexdigest()[:16] == digest
