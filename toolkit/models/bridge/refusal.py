"""The errors for parts of a model that cannot cross the bridge."""

from __future__ import annotations

from edgekit.errors import CompressionError


def unknown_layer(subject: str, kind: str) -> CompressionError:
    """Build the refusal of a layer that has no counterpart."""
    hint = (
        "compression works on tf_keras, which has no layer proven to do the same. Either convert "
        f"without compression; or name a tf_keras twin of it: [model.twins] {kind} = "
        f'"layers.py:{kind}"'
    )
    return CompressionError("EK-COMPRESS-002", f"{subject} cannot cross to tf_keras", hint)


def unknown_operation(name: str, details: str) -> CompressionError:
    """Build the refusal of an operation of keras.ops without a counterpart for its settings."""
    hint = (
        "compression works on tf_keras, where no operation is proven to do the same. Either "
        "convert without compression; or write it as a layer of your own and name a tf_keras twin "
        "of that: [model.twins]"
    )
    message = f"operation {name!r} (keras.ops, {details}) cannot cross to tf_keras"
    return CompressionError("EK-COMPRESS-002", message, hint)
