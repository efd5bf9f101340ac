"""Filters about keys and certificates."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwks_to_pems(jwks: dict[str, Any]) -> list[str]:
    """Public keys of a key set (RFC 7517) in PEM, sorted by key id; RSA and Ed25519."""
    pems = []
    for key in sorted(jwks["keys"], key=lambda one: one["kid"]):
        public: rsa.RSAPublicKey | ed25519.Ed25519PublicKey
        if key["kty"] == "RSA":
            public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
        else:
            public = ed25519.Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))
        pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pems.append(pem.decode().strip())
    return pems


def certificate_sha256(pem: str) -> str:
    """Fingerprint of a certificate: SHA-256 over its DER form, hex."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()


def certificate_serial(pem: str) -> str:
    """Serial number of a certificate as Vault writes it: hex bytes with colons."""
    number = x509.load_pem_x509_certificate(pem.encode()).serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex(":")


class FilterModule:
    """What Ansible finds."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "certificate_serial": certificate_serial,
            "certificate_sha256": certificate_sha256,
            "jwks_to_pems": jwks_to_pems,
        }
