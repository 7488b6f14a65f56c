"""Layer by layer errors as a page draws them."""

from __future__ import annotations

from edgekit.evaluation.layers import LayerParity
from edgekit.types.details import LayerError, LayerErrors


def layer_errors(parity: LayerParity) -> LayerErrors:
    """Return a comparison of two files' layers: the rows, and positions among them."""
    places = {id(layer): at for at, layer in enumerate(parity.layers)}
    first = parity.first_fall
    only = [
        f"only in {name}: {', '.join(names)}"
        for name, names in ((parity.left, parity.left_only), (parity.right, parity.right_only))
        if names
    ]
    return LayerErrors(
        reference=parity.left,
        n=parity.n,
        rows=tuple(
            LayerError(
                operator=layer.operator,
                name=layer.name,
                sqnr=layer.sqnr,
                channel_sqnr=layer.channel_sqnr,
                max_abs_error=layer.max_abs_error,
                mean_abs_error=layer.mean_abs_error,
                cosine=layer.cosine,
                added=layer.added,
                fall=layer.fall,
                falls=layer.falls,
                absorbed=layer.absorbed,
                inputs=layer.inputs,
            )
            for layer in parity.layers
        ),
        first_fall=places[id(first)] if first is not None else None,
        ranked=tuple(places[id(layer)] for layer in parity.ranked),
        notes=(*only, *parity.missing, *parity.notes),
    )
