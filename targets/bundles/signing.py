"""Keys, and signatures over a bundle's manifest: Ed25519, so that openssl can check them too."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import nearby
from edgekit.errors import ProjectError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PublicKey,
    )

ALGORITHM = "Ed25519"
PUBLIC = ".pub"
BYTES = 64
NO_KEY, THERE = "EK-KEY-001", "EK-KEY-002"


@dataclass(frozen=True)
class TrustedKey:
    """A public key: its 32 bytes, and the file that it was read from."""

    raw: bytes
    path: Path | None = None

    @property
    def fingerprint(self) -> str:
        """What people compare: SHA256 and base64, as OpenSSH writes it."""
        digest = base64.b64encode(hashlib.sha256(self.raw).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    @property
    def text(self) -> str:
        """The 32 bytes in base64."""
        return base64.b64encode(self.raw).decode()

    def signed(self, content: bytes, signature: bytes) -> bool:
        """Tell whether a signature over a content is of this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, content)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key, which signs; ``public`` is what others check with."""

    raw: bytes
    public: TrustedKey

    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint})"

    def sign(self, content: bytes) -> bytes:
        """Return the 64 bytes of a signature: the same content gives the same ones."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.raw).sign(content)


def new_key(path: Path, force: bool = False) -> TrustedKey:
    """Write a private key that its owner alone can read, and the public key beside it.

    Raises :class:`ProjectError` where one of the two files is there, unless it is to be forced.
    """
    from cryptography.hazmat.primitives import serialization as to
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = path.with_name(path.name + PUBLIC)
    for file in (path, public):
        if file.exists() and not force:
            hint = "bundles that it signed are checked with it: name another file, or use --force"
            raise ProjectError(THERE, f"{file} is there already", hint)
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_private(path, content)
    public.write_bytes(_pem(key.public_key()))
    return _trusted(key.public_key(), public)


def read_key(path: Path) -> SigningKey:
    """Read a private key. Raises :class:`ProjectError` where the file is not one."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_content(path), password=None)
    except (ValueError, TypeError) as error:
        raise _no_key(path, f"no private key without a password: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "a private key of another kind than Ed25519")
    return SigningKey(key.private_bytes_raw(), _trusted(key.public_key()))


def read_trusted(path: Path) -> TrustedKey:
    """Read a public key. Raises :class:`ProjectError` where the file is not one."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_content(path))
    except (ValueError, TypeError) as error:
        raise _no_key(path, f"no public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "a public key of another kind than Ed25519")
    return _trusted(key, path)


def signer_of(trusted: Sequence[TrustedKey], content: bytes, signature: bytes) -> TrustedKey | None:
    """Return which of the keys made a signature; none where none did."""
    return next((key for key in trusted if key.signed(content, signature)), None)


def _content(path: Path) -> bytes:
    if not path.is_file():
        hint = nearby.hint(path, "make a pair with `edgekit keys new FILE`")
        raise ProjectError(NO_KEY, f"there is no key {path}", hint)
    return path.read_bytes()


def _no_key(path: Path, why: str) -> ProjectError:
    hint = "the private key signs, the one beside it (.pub) checks: `edgekit keys new` makes both"
    return ProjectError(NO_KEY, f"{path} is {why.splitlines()[0][:200]}", hint)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else could read at any time."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _pem(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as to

    return key.public_bytes(to.Encoding.PEM, to.PublicFormat.SubjectPublicKeyInfo)


def _trusted(key: Ed25519PublicKey, path: Path | None = None) -> TrustedKey:
    return TrustedKey(key.public_bytes_raw(), path)
