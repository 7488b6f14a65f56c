"""What the numpy form of pre- and postprocessing answers to the golden cases."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from processing_cases import ACTIVATIONS, COLORS, DTYPES, LAYOUTS, METHODS, Case, golden_spec

from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.processing import numpy_source

NUMPY = FOLDER / "processing" / "numpy"


def module(name: str, folder: Path = NUMPY) -> ModuleType:
    """Load a file of the numpy form, which is not part of a package."""
    spec = importlib.util.spec_from_file_location(f"edgekit_numpy_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Answers:
    """The numpy form in a folder, asked by the golden cases."""

    def __init__(self, folder: Path = NUMPY) -> None:
        parts = ("values", "pictures", "boxes", "signals")
        self.values, self.pictures, self.boxes, self.signals = (
            module(f"edgekit_{part}", folder) for part in parts
        )

    def lines(self, cases: Iterable[Case]) -> list[str]:
        """Return an answer's line per case."""
        return [" ".join(map(repr, self.one(case))) for case in cases]

    def one(self, case: Case) -> list[Any]:
        """Return the numbers that a case is answered with."""
        command, *tokens = case.line.split()
        stream = iter(tokens)
        answer: Callable[[Any], Any] = getattr(self, f"_{command}")
        return list(np.asarray(answer(stream)).reshape(-1).tolist())

    def _constants(self, tokens: Any) -> Any:
        del tokens
        spec: dict[str, Any] = {}
        exec(numpy_source.files(golden_spec(), "golden")[numpy_source.CONSTANTS], spec)
        (item,), (output,) = spec["INPUTS"], spec["OUTPUTS"]
        picture, boxes, signal = item["picture"], spec["BOXES"], spec["SIGNAL"]
        return [
            *(int(np.prod(item["shape"])), DTYPES.index(item["dtype"]), item["scale"]),
            *(item["zero_point"], item["channel_stride"], *item["factors"], *item["offsets"]),
            *(picture["height"], picture["width"], COLORS.index(picture["color"])),
            *(METHODS.index(picture["method"]), picture["crop"], picture["layout"] == "nchw"),
            *(int(np.prod(output["shape"])), DTYPES.index(output["dtype"]), output["scale"]),
            *(output["zero_point"], ACTIVATIONS.index(output["activation"]), boxes["rows"]),
            *(boxes["iou"], boxes["candidates"], boxes["anchors"][1][3]),
            *(signal["fft"], signal["floor"], *"".join(spec["LABELS"]).encode()),
        ]

    def _fit(self, tokens: Any) -> Any:
        height, width, method, color, crop, first, *shape = _integers(tokens, 9)
        settings = {
            "height": height,
            "width": width,
            "method": METHODS[method],
            "color": COLORS[color],
            "crop": bool(crop),
            "layout": "nchw" if first else "nhwc",
        }
        source = np.array(_integers(tokens, int(np.prod(shape))), np.uint8).reshape(shape)
        return self.pictures.fit(source, settings)

    def _encode(self, tokens: Any) -> Any:
        dtype = DTYPES[int(next(tokens))]
        scale, zero, count, stride = (float(next(tokens)), *_integers(tokens, 3))
        settings = {
            "dtype": dtype,
            "scale": scale,
            "zero_point": zero,
            "channel_stride": stride,
            "factors": _reals(tokens, count),
            "offsets": _reals(tokens, count),
            "shape": [-1],
        }
        return self.values.encode(settings, np.float32(_reals(tokens, int(next(tokens)))))

    def _decode(self, tokens: Any) -> Any:
        dtype, scale, zero = DTYPES[int(next(tokens))], float(next(tokens)), int(next(tokens))
        held = np.array(_reals(tokens, int(next(tokens)))).astype(dtype)
        return self.values.decode({"scale": scale, "zero_point": zero}, held)

    def _activate(self, tokens: Any) -> Any:
        activation = ACTIVATIONS[int(next(tokens))]
        return self.values.activate(activation, np.float32(_reals(tokens, int(next(tokens)))))

    def _top(self, tokens: Any) -> Any:
        limit, count = _integers(tokens, 2)
        return self.values.top(_reals(tokens, count), limit)

    def _boxes(self, tokens: Any) -> Any:
        names = "rows classes box_row box_column score_start score_row score_column objectness"
        settings: dict[str, Any] = {"layout": LAYOUTS[int(next(tokens))]}
        names += " sigmoid background suppress width height"
        settings |= dict(zip(names.split(), _integers(tokens, 13), strict=True))
        settings |= dict(zip(("score", "iou"), _reals(tokens, 2), strict=True))
        settings |= dict(zip(("largest", "candidates"), _integers(tokens, 2), strict=True))
        settings["scales"] = _reals(tokens, 4)
        settings["anchors"] = [_reals(tokens, 4) for _ in range(int(next(tokens)))]
        outputs = {}
        for role in ("box", "score", "class", "count"):
            values = _reals(tokens, int(next(tokens)))
            settings[f"{role}_output"] = role if values else None
            outputs[role] = np.array(values)
        read = self.boxes.read_boxes(settings, outputs)
        return [[box["score"], box["category"], *box["box"]] for box in read]

    def _features(self, tokens: Any) -> Any:
        names = ("rate", "window", "stride", "fft", "mels", "coefficients", "power")
        settings: dict[str, Any] = dict(zip(names, _integers(tokens, 7), strict=True))
        settings |= dict(zip(("low", "high", "floor"), _reals(tokens, 3), strict=True))
        return self.signals.features(settings, _reals(tokens, int(next(tokens))))


def _integers(tokens: Any, count: int) -> list[int]:
    return [int(token) for token in itertools.islice(tokens, count)]


def _reals(tokens: Any, count: int) -> list[float]:
    return [float(token) for token in itertools.islice(tokens, count)]
