"""Certificates for tests: an authority of one's own, and what it certifies."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority"]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Certifies servers and clients; each is a pair of PEM files in its folder."""

    def __init__(self, folder: Path, name: str = "tests") -> None:
        self._folder, self._name, self._key = folder, name, ec.generate_private_key(ec.SECP256R1())
        self._now = dt.datetime.now(dt.UTC)
        builder = self._begun(_name(name), self._key.public_key(), self._now + dt.timedelta(days=1))
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        self.file = self._written(f"{name}-ca", builder.sign(self._key, hashes.SHA256()))

    def certify(self, name: str, *, host: str = "127.0.0.1", is_expired: bool = False) -> tuple[Path, Path]:
        """Return the files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        ends = self._now + dt.timedelta(hours=-1 if is_expired else 1)
        builder = self._begun(_name(name), key.public_key(), ends)
        try:
            other: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            other = x509.DNSName(host)
        builder = builder.add_extension(x509.SubjectAlternativeName([other]), critical=False)
        file = self._written(f"{self._name}-{name}", builder.sign(self._key, hashes.SHA256()))
        key_file = file.with_suffix(".key")
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return file, key_file

    def _begun(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, ends: dt.datetime
    ) -> x509.CertificateBuilder:
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_name(self._name))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - dt.timedelta(days=1))
            .not_valid_after(ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        )

    def _written(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._folder / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path
