"""The schemes of TFMOT, by their key in ``[compress]``. A new scheme is a file and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.compression.scheme import Scheme
from edgekit.compression.schemes.cluster import Cluster
from edgekit.compression.schemes.prune import Prune
from edgekit.compression.schemes.quantization_aware import QuantizationAware
from edgekit.plugins import Table

_OWN: Mapping[str, Scheme] = {
    scheme.name: scheme for scheme in (Prune(), Cluster(), QuantizationAware())
}
SCHEMES: Table[Scheme] = Table("edgekit.schemes", Scheme, _OWN, _OWN.__getitem__)
