"""What TensorBoard's tabs show, as summaries: made with numpy, without operators of TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.pr_curve import metadata as curve_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.util import tensor_util

from edgekit.training.watch.pictures import QUICK

Array = npt.NDArray[Any]
BUCKETS = 30
THRESHOLDS = 51


def scalar(tag: str, value: float) -> Any:
    """Return a point of a curve."""
    return scalar_pb(tag, np.float32(value))


def histogram(tag: str, values: Array) -> Any:
    """Return the histogram of an array of any shape; what is not finite is left out."""
    flat = np.asarray(values, np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    rows = np.zeros((BUCKETS, 3))
    if flat.size:
        low, high = float(flat.min()), float(flat.max())
        if low == high:
            rows[:, :2], rows[-1, 2] = low, flat.size
        else:
            counts, edges = np.histogram(flat, BUCKETS, (low, high))
            rows = np.stack([edges[:-1], edges[1:], counts], axis=1)
    return _tensor(tag, rows, histogram_metadata.create_summary_metadata(None, None))


def images(tag: str, pictures: Sequence[Array], description: str) -> Any:
    """Return pictures ``[height, width, channels]`` of bytes, all of one size."""
    from PIL import Image

    height, width = pictures[0].shape[:2]
    strings = [str(width).encode(), str(height).encode()]
    for picture in pictures:
        encoded = io.BytesIO()
        Image.fromarray(picture.squeeze()).save(encoded, "PNG", compress_level=QUICK)
        strings.append(encoded.getvalue())
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(strings))])
    tensor = TensorProto(dtype=DT_STRING, string_val=strings, tensor_shape=shape)
    metadata = image_metadata.create_summary_metadata(None, description)
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])


def precision_recall(tag: str, positive: Array, scores: Array) -> Any:
    """Return precision and recall over the thresholds of a score in 0..1; positives are True."""
    steps = np.linspace(0.0, 1.0, THRESHOLDS)
    taken = scores[None, :] >= steps[:, None]
    true, false = (taken & positive).sum(1), (taken & ~positive).sum(1)
    missed, left = positive.sum() - true, (~positive).sum() - false
    precision = true / np.maximum(true + false, 1)
    recall = true / max(int(positive.sum()), 1)
    rows = np.stack([true, false, left, missed, precision, recall]).astype(np.float32)
    metadata = curve_metadata.create_summary_metadata(tag, "", THRESHOLDS)
    return _tensor(tag, rows, metadata)


def _tensor(tag: str, values: Array, metadata: Any) -> Any:
    tensor = tensor_util.make_tensor_proto(values)
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])
