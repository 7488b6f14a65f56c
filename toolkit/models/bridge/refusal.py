"""What the bridge says of a part of a model that cannot cross."""

from __future__ import annotations

from edgekit.errors import CompressionError


def unknown_layer(what: str, kind: str) -> CompressionError:
    """Return the refusal of a layer that has no counterpart."""
    hint = (
        "compression works on tf_keras, which has no layer proven to do the same. Ways on: convert "
        f"without compression; or name a tf_keras twin of it: [model.twins] {kind} = "
        f'"layers.py:{kind}"'
    )
    return CompressionError("EK-COMPRESS-002", f"{what} cannot cross to tf_keras", hint)


def unknown_operation(name: str, what: str) -> CompressionError:
    """Return the refusal of an operation of keras.ops that has no counterpart, or not as it is
    set.
    """
    hint = (
        "compression works on tf_keras, where no operation is proven to do the same. Ways on: "
        "convert without compression; or write it as a layer of your own and name a tf_keras twin "
        "of that: [model.twins]"
    )
    message = f"operation {name!r} (keras.ops, {what}) cannot cross to tf_keras"
    return CompressionError("EK-COMPRESS-002", message, hint)
