"""Mutual TLS between those who share an image.

BitTorrent knows it as SSL torrents: a certificate is part of what the
info-hash is made of, and peers talk to nobody whose own is not signed by it.
"""

from __future__ import annotations

import dataclasses
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.errors import CertificateRefused

if TYPE_CHECKING:
    import os

__all__ = [
    "DH_PARAMETERS",
    "NAME",
    "PeerTLS",
    "SignedBy",
    "read_ca",
]

NAME = "parallelops"
"""What a certificate has to be for. Peers look for the name of the torrent."""

DH_PARAMETERS = """\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
"""ffdhe2048 of RFC 7919. libtorrent insists on some, and what both sides
choose by themselves hardly ever needs them."""

# libtorrent takes those for any torrent.
_NAMES = {NAME, "*"}
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_ONE = re.compile(f"{_BEGIN}.*?{_END}", re.DOTALL)
# More than a handshake takes.
_TURNS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class SignedBy:
    """What a peer shows to others, and what it expects of them. All is PEM.

    Attributes:
        ca: the certificate that has signed those of all.
        certificate: its own.
        key: of that. It is a secret, and not in the ``repr``.
    """

    ca: str
    certificate: str
    key: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PeerTLS:
    """Files in PEM, for peers that talk to none but those of one CA.

    They are read anew for each image, so that they can be renewed.

    Attributes:
        ca: one certificate, which has signed those of all peers itself.
        certificate: one certificate, of this peer. It has to be for the name
            "parallelops", and for clients as well as for servers.
        key: of that, without a passphrase.
    """

    ca: str | os.PathLike[str]
    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str]

    def load(self) -> SignedBy:
        """What is in the files, once it is known to work.

        Raises:
            CertificateRefused: it does not; it names the file.
        """
        ca = read_ca(self.ca)
        certificate = _certificate(self.certificate)
        key = _read(self.key)
        server = _context(ssl.PROTOCOL_TLS_SERVER, ca)
        client = _context(ssl.PROTOCOL_TLS_CLIENT, ca)
        for context in (server, client):
            self._show(context)
        try:
            names = _met(server, client)
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", None) or error.reason
            raise CertificateRefused(
                str(self.certificate),
                f"peers would refuse it: {why}; it has to be valid, for "
                f"clients and for servers, and signed by {self.ca} itself",
            ) from error
        if names.isdisjoint(_NAMES):
            raise CertificateRefused(
                str(self.certificate),
                f"it is for {', '.join(sorted(names)) or 'no name'}; peers "
                f"look for the name {NAME!r}",
            )
        return SignedBy(ca, certificate, key)

    def _show(self, context: ssl.SSLContext) -> None:
        """Have a context show the certificate."""
        locked = []

        def passphrase() -> str:
            locked.append(True)
            return ""

        try:
            context.load_cert_chain(self.certificate, self.key, passphrase)
        except (OSError, ValueError) as error:  # one of them is SSLError
            if locked:
                why = "it has a passphrase; write it without one"
            elif getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
                why = f"it is not the key of {self.certificate}"
            else:
                why = "there has to be one private key in it, in PEM"
            raise CertificateRefused(str(self.key), why) from error


def read_ca(path: str | os.PathLike[str]) -> str:
    """The certificate of a CA, in the one way to write it.

    All peers have to come to the same bytes.

    Raises:
        CertificateRefused: there is none, or there are several.
    """
    der = ssl.PEM_cert_to_DER_cert(_certificate(path))
    return ssl.DER_cert_to_PEM_cert(der)


def _read(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError as error:
        raise CertificateRefused(
            str(path),
            f"{error.strerror}; it has to be a file that this user may read",
        ) from error


def _certificate(path: str | os.PathLike[str]) -> str:
    """The one certificate of a file, without the comments around it."""
    found = _ONE.findall(_read(path))
    if len(found) != 1:
        raise CertificateRefused(
            str(path),
            f"there are {len(found)} certificates in PEM in it; it has to "
            "be one",
        )
    try:
        _context(ssl.PROTOCOL_TLS_CLIENT, found[0])
    except (ssl.SSLError, ValueError) as error:
        raise CertificateRefused(
            str(path), "the certificate in it is damaged; copy it anew"
        ) from error
    return f"{found[0]}\n"


def _context(protocol: int, ca: str) -> ssl.SSLContext:
    """What refuses each peer whose certificate is not of this CA."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False  # peers have no names
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ca)
    return context


def _met(server: ssl.SSLContext, client: ssl.SSLContext) -> set[str]:
    """Let both meet, here in memory; the names that they show.

    Raises:
        SSLError: one refuses the other.
    """
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there),
        server.wrap_bio(there, back, server_side=True),
    ]
    for turn in range(_TURNS):
        try:
            sides[turn % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
    return _names(sides[1].getpeercert() or {})


def _names(certificate: Any) -> set[str]:
    """What a certificate is for, of what peers look at."""
    subject = [pair for part in certificate["subject"] for pair in part]
    pairs = [*subject, *certificate.get("subjectAltName", ())]
    return {name for kind, name in pairs if kind in ("commonName", "DNS")}
