"""JPEG and PNG as `edgekit serve` takes them: as they are evaluated, and none does harm."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_models import detector, quarters
from PIL import Image
from serving import Server, serving

from edgekit.data import images
from edgekit.data.source import open_source
from edgekit.serving.codec import Body, parse
from edgekit.serving.decoder import Decoder
from edgekit.serving.limits import Refused
from edgekit.serving.pictures import decode
from edgekit.serving.runner import Tensor
from edgekit.serving.source import Golden, Servable
from edgekit.store import Store
from edgekit.targets import catalog
from edgekit.targets.bundles import pack
from edgekit.types import Preprocess, Request, TensorSpec

PREDICT = "/v1/models/detector:predict"


def encoded(picture: Any, form: str = "PNG", orientation: int = 1) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[images.ORIENTATION] = orientation
    Image.fromarray(picture).save(file, form, exif=exif)
    return file.getvalue()


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def noise(seed: int, height: int = 45, width: int = 70) -> Any:
    smooth = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, 3), np.uint8)
    return smooth.repeat(5, axis=0).repeat(5, axis=1)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose head claims a size, and which holds next to nothing."""

    def part(kind: bytes, content: bytes) -> bytes:
        checked = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checked)

    head = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = part(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + head + data + part(b"IEND", b"")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pictures")
    path = folder / "detector.tar.gz"
    pack(catalog.load("linux-x86_64"), detector(folder), path)
    with serving(folder, path) as running:
        yield running


def test_decoder_gives_the_pixels_that_are_evaluated_for_every_spec(tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "any"
    folder.mkdir(parents=True)
    kinds = (("JPEG", 1), ("JPEG", 6), ("PNG", 1), ("PNG", 3))
    contents = [encoded(noise(k), form, turned) for k, (form, turned) in enumerate(kinds)]
    for k, content in enumerate(contents):
        (folder / f"{k}.{kinds[k][0].lower()}").write_bytes(content)
    specs = (
        Preprocess(resize=(32, 24), crop="center", method="bicubic", color="bgr"),
        Preprocess(resize=(20, 60), method="area", color="grayscale"),
    )

    async def decoded() -> list[list[Any]]:
        decoder, until = Decoder(), asyncio.get_running_loop().time() + 60
        try:
            return [
                [
                    await decoder.decode(one, "it", images.resolved(spec, ()), until)
                    for one in contents
                ]
                for spec in specs
            ]
        finally:
            await decoder.close()

    for spec, served in zip(specs, asyncio.run(decoded()), strict=True):
        height, width = spec.resize or (0, 0)
        channels = 1 if spec.color == "grayscale" else 3
        inputs = (TensorSpec("x", (None, height, width, channels), "float32"),)
        source = str(tmp_path / "pictures")
        data, _ = open_source(
            source, tmp_path, Store(tmp_path / "store"), None, spec, inputs=inputs
        )
        evaluated = np.load(data.arrays["x"])
        assert sorted(map(bytes, served)) == sorted(map(bytes, evaluated))


def test_pictures_are_answered_as_the_pixels_that_the_loader_makes_of_them(server: Server) -> None:
    spec = Preprocess(color="rgb", resize=(32, 32))
    files = [encoded(quarters()), encoded(noise(7), "JPEG", 6), encoded(noise(8), "JPEG")]
    pixels = [images.read(one, "it", spec).array.tolist() for one in files]
    raw = {"instances": pixels, "signature_name": "raw"}
    status, expected = server.ask(PREDICT, raw)
    assert status == 200
    for body in (
        {"instances": [b64(one) for one in files]},
        {"instances": [{"image": b64(one)} for one in files]},
        {"instances": [b64(one) for one in files], "signature_name": "raw"},
        # 5.0 is 5 in JSON.
        {**raw, "instances": np.array(pixels, np.float64).tolist()},
    ):
        assert server.ask(PREDICT, body) == (200, expected)
    status, told = server.ask(PREDICT, {**raw, "instances": (np.array(pixels) / 2).tolist()})
    assert (status, "takes uint8, given are fractions" in told["error"]) == (400, True)
    status, columns = server.ask(PREDICT, {"inputs": {"image": [b64(one) for one in files]}})
    assert [row["scores"] for row in expected["predictions"]] == columns["outputs"]["scores"]
    status, alone = server.ask(PREDICT, {"inputs": b64(files[1])})
    assert (status, alone["outputs"]["scores"][0]) == (200, columns["outputs"]["scores"][1])
    classified = server.ask(
        "/v1/models/detector:classify", {"examples": [{"image": b64(files[0])}]}
    )
    assert classified[0] == 200


@pytest.mark.hostile
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png_of(10_000, 6_000), "10,000 x 6,000 pixels"),
        (png_of(30_000, 30_000), "decompression bomb"),
        (png_of(0, 5), "cannot be read as a picture"),
        (encoded(noise(1), "JPEG")[:200], "cannot be read as a picture"),
        (encoded(noise(1))[:60], "cannot be read as a picture"),
        (b"\xff\xd8\xff" + bytes(1000), "cannot be read as a picture"),
        (b"GIF89a" + bytes(100), "not a .npy file, a JPEG or a PNG"),
        (b"<svg>", "not a .npy file, a JPEG or a PNG"),
    ],
    ids=["large", "bomb", "empty", "cut jpeg", "cut png", "no jpeg", "gif", "svg"],
)
def test_picture_that_is_damaged_or_means_harm_is_a_clear_400_and_the_next_is_answered(
    server: Server, content: bytes, said: str
) -> None:
    began = time.monotonic()
    status, told = server.ask(PREDICT, {"instances": [b64(content)]})
    assert status == 400, told
    assert said in told["error"]
    assert time.monotonic() - began < 5
    assert server.ask(PREDICT, {"instances": [b64(encoded(quarters()))]})[0] == 200


@pytest.mark.hostile
def test_sixteen_bits_and_numbers_beside_pictures_are_refused(server: Server) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(file, "PNG")
    status, told = server.ask(PREDICT, {"instances": [b64(file.getvalue())]})
    assert (status, "more than 8 bits" in told["error"]) == (400, True)
    prepared = np.zeros((32, 32, 3)).tolist()
    status, told = server.ask(PREDICT, {"instances": [b64(encoded(quarters())), prepared]})
    assert (status, "raw items" in told["error"]) == (400, True)


@pytest.mark.parametrize(
    ("shape", "dtype", "golden", "said"),
    [
        ((None, 4), "float32", None, "but items shaped [4]"),
        ((None, 8, 8, 7), "float32", None, "but items shaped [8, 8, 7]"),
        ((None, 8, 8, 1), "float32", None, "not a bundle"),
        ((None, 8, 8, 1), "float32", np.full((2, 8, 8, 1), 16, np.uint8), "values up to 16"),
        ((None, 8, 8, 1), "float32", np.full((2, 8, 8, 1), 200, np.float32), "arrays of float32"),
        ((None, 8, 8, 1), "float32", np.full((2, 8, 8, 1), 200, np.uint8), ""),
        ((None, 8, 8, 1), "uint8", None, ""),
    ],
)
def test_model_whose_pictures_are_not_known_says_why(
    shape: tuple[int | None, ...], dtype: str, golden: Any, said: str
) -> None:
    request = Request("answer", ())
    held = Golden({"x": golden}, {}, {}) if golden is not None else None
    model = Servable("it", 1, "1", request, "0", golden=held)
    body = parse(json.dumps({"instances": [b64(encoded(quarters()))]}).encode())

    async def work() -> Body:
        decoder, until = Decoder(), asyncio.get_running_loop().time() + 60
        try:
            return await decode(body, model, {"x": Tensor(shape, dtype)}, decoder, until)
        finally:
            await decoder.close()

    if not said:
        assert asyncio.run(work()).instances[0].shape == shape[1:]
        return
    with pytest.raises(Refused) as raised:
        asyncio.run(work())
    assert (raised.value.status, said in raised.value.message) == (400, True), raised.value


def test_decoder_that_dies_or_hangs_costs_its_own_picture_alone() -> None:
    async def work() -> None:
        decoder, loop = Decoder(), asyncio.get_running_loop()
        spec = Preprocess(resize=(8, 8))
        good = encoded(noise(1))
        await decoder.decode(good, "it", spec, loop.time() + 60)
        assert decoder._process is not None
        decoder._process.kill()
        await decoder._process.wait()
        with pytest.raises(Refused) as raised:
            await decoder.decode(good, "it", spec, loop.time() + 60)
        assert raised.value.status == 400
        with pytest.raises(Refused) as raised:
            await decoder.decode(good, "it", spec, loop.time() + 1e-4)
        assert raised.value.status == 504
        assert (await decoder.decode(good, "it", spec, loop.time() + 60)).shape == (8, 8, 3)
        await decoder.close()

    asyncio.run(work())
