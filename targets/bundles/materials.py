"""The bill of materials of a bundle, as CycloneDX: without a time or a random number."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgekit.targets.bundles.contents import Contents, Licence
from edgekit.targets.catalog import Target

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License
    from packageurl import PackageURL

# Of a licence that is a text and no SPDX id.
OWN_LICENCE = "see LICENSE.txt"
# SPDX's own address of a licence: its text is there, and not in the bundle.
ADDRESS = "https://spdx.org/licenses/"


def licence_text(licence: Licence) -> str:
    """Return the licence as a file; empty where nobody says under which one the model may be
    used.
    """
    if licence.text:
        return licence.text
    return f"{licence.spdx}\n{ADDRESS}\n" if licence.spdx else ""


def bill_of_materials(target: Target, contents: Contents, kind: str) -> str:
    """Return what the bundle consists of, and what its app needs besides: CycloneDX 1.6, JSON."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    digest = hashlib.sha256(contents.model.read_bytes()).hexdigest()
    app = Component(
        name=contents.name,
        version=contents.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"bundle:{contents.name}",
        description=f"bundle of kind {kind} for {target.title}",
        licenses=_licences(contents.licence),
    )
    parts = [_model(contents, digest), *_packages(target)]
    name = f"edgekit:{digest}:{target.id}:{kind}:{contents.version}"
    bom = Bom(components=parts, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, name))
    bom.metadata.component = app
    version = contents.tools.get("edgekit")
    edgekit = Component(name="edgekit", version=version, type=ComponentType.APPLICATION)
    bom.metadata.tools.components.add(edgekit)
    bom.register_dependency(app, parts)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _model(contents: Contents, digest: str) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name="model.tflite",
        version=contents.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model.tflite",
        description=f"{contents.precision} TensorFlow Lite model",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=_licences(contents.licence),
    )


def _packages(target: Target) -> Iterator[Component]:
    """Yield the runtimes that the app may use, and what they need; one component a package."""
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    seen = set()
    for runtime in target.runtimes:
        address = _address(target, runtime.package, runtime.version)
        if address.to_string() in seen:
            continue
        seen.add(address.to_string())
        yield Component(
            name=runtime.package,
            version=runtime.version,
            type=ComponentType.LIBRARY,
            purl=address,
            bom_ref=address.to_string(),
            properties=[
                Property(name="edgekit:runtime", value=runtime.name),
                *(Property(name="edgekit:requires", value=one) for one in runtime.requires),
            ],
        )


def _address(target: Target, package: str, version: str) -> PackageURL:
    """Return where a package is published, by how it is called."""
    from packageurl import PackageURL

    if ":" in package:
        group, _, name = package.partition(":")
        return PackageURL("maven", group, name, version)
    if "/" in package:
        owner, _, name = package.rpartition("/")
        return PackageURL("npm" if owner.startswith("@") else "docker", owner, name, version)
    return PackageURL("cocoapods" if target.system == "iOS" else "pypi", "", package, version)


def _licences(licence: Licence) -> list[License]:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.license import DisjunctiveLicense

    if licence.spdx:
        return [LicenseFactory().make_from_string(licence.spdx)]
    return [DisjunctiveLicense(name=OWN_LICENCE)] if licence.text else []
