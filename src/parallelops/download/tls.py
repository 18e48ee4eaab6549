"""Mutual TLS between those who share an image.

BitTorrent knows it as SSL torrents: a certificate is part of what the
info-hash is made of, and peers talk to nobody whose own is not signed by it.

libtorrent takes the first certificate of each text that it is given, and no
more: it shows no intermediates to others, and knows none itself. So the CA is
the one that has signed the peers' certificates itself, be it an intermediate.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelops.errors import CertificateRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
# What follows a certificate that is to be trusted without the one that has
# signed it: for clients and for servers (X509_CERT_AUX of OpenSSL).
_TRUSTED = bytes.fromhex("3016 3014 06082b06010505070302 06082b06010505070301")
# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_DATES = {9, 10}
_NOT_ITS_KEY = {
    "KEY_VALUES_MISMATCH",
    "KEY_TYPE_MISMATCH",
    "NO_CERTIFICATE_ASSIGNED",  # that is, for a key of this kind
}
_WEAK = ("_TOO_SMALL", "_TOO_WEAK")


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
        ca: one certificate, which has signed those of all peers itself. It
            may be that of an intermediate; others of its root are strangers.
        certificate: of this peer. It has to be for the name "parallelops",
            and for clients as well as for servers. Those of intermediates
            may follow it, and are not needed.
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
        certificate, *others = _certificates(self.certificate)
        key = _read(self.key)
        try:
            names = self._met(ca, certificate)
            # Else OpenSSL takes no notice of the dates of an intermediate.
            self._met(ca, certificate, partial=True)
        except ssl.SSLError as error:
            raise self._refusal(error, certificate, others) from error
        if names.isdisjoint(_NAMES):
            raise CertificateRefused(
                str(self.certificate),
                f"it is for {', '.join(sorted(names)) or 'no name'}; peers "
                f"look for the name {NAME!r}",
            )
        return SignedBy(ca, certificate, key)

    def _met(
        self, ca: str, certificate: str, *, partial: bool = False
    ) -> set[str]:
        """Let two peers that show the certificate meet; the names it is for.

        They are given what libtorrent is: no other certificates of the file.

        Raises:
            SSLError: one refuses the other.
            CertificateRefused: the key is none, or not of that.
        """
        with _file(ca) as known, _file(certificate) as shown:
            server = _context(ssl.PROTOCOL_TLS_SERVER)
            client = _context(ssl.PROTOCOL_TLS_CLIENT)
            for context in (server, client):
                context.load_verify_locations(known)
                if partial:
                    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
                self._show(context, shown)
        return _met(server, client)

    def _show(self, context: ssl.SSLContext, shown: str) -> None:
        """Have a context show the certificate."""
        locked = []

        def passphrase() -> str:
            locked.append(True)
            return ""

        try:
            context.load_cert_chain(shown, self.key, passphrase)
        except (OSError, ValueError) as error:  # one of them is SSLError
            path, reason = self.key, getattr(error, "reason", None) or ""
            if locked:
                why = "it has a passphrase; write it without one"
            elif reason in _NOT_ITS_KEY:
                why = (
                    f"it is not the key of {self.certificate}, where the "
                    "certificate of this peer has to come first"
                )
            elif reason.endswith(_WEAK):
                path = self.certificate
                why = f"{_plain(reason)}; make it anew with a stronger one"
            else:
                why = "there has to be one private key in it, in PEM"
            raise CertificateRefused(str(path), why) from error

    def _refusal(
        self, error: ssl.SSLError, certificate: str, others: Sequence[str]
    ) -> CertificateRefused:
        """Why peers would refuse the certificate, and what to do."""
        path = self.certificate
        why = getattr(error, "verify_message", None) or _plain(
            str(error.reason)
        )
        remedy = (
            f"it has to be valid, for clients and for servers, and signed by "
            f"{self.ca} itself; if an intermediate has signed it, that is "
            "the CA to name"
        )
        if getattr(error, "verify_code", 0) in _DATES:
            path = path if self._is_dated(certificate) else self.ca
            remedy = "renew it, unless the clock of this machine is wrong"
        elif number := self._signer(certificate, others):
            why = f"{self.ca} has not signed it itself"
            remedy = (
                f"number {number} of the certificates in it has; name a file "
                "with that one as the CA, for all peers"
            )
        return CertificateRefused(
            str(path), f"peers would refuse it: {why}; {remedy}"
        )

    def _signer(self, certificate: str, others: Sequence[str]) -> int:
        """Which of those after it has signed it, from 2 on; else 0."""
        for number, other in enumerate(others, 2):
            with contextlib.suppress(ssl.SSLError):
                self._met(_as_ca(other), certificate)
                return number
        return 0

    def _is_dated(self, certificate: str) -> bool:
        """Whether it is too late for a certificate, or too early."""
        try:
            self._met(certificate, certificate, partial=True)
        except ssl.SSLError as error:
            return getattr(error, "verify_code", 0) in _DATES
        return False


def read_ca(path: str | os.PathLike[str]) -> str:
    """The certificate of a CA, in the one way to write it.

    All peers have to come to the same bytes.

    Raises:
        CertificateRefused: there is none, or there are several.
    """
    found = _certificates(path)
    if len(found) != 1:
        raise CertificateRefused(
            str(path),
            f"there are {len(found)} certificates in PEM in it; it has to be "
            "one, which has signed those of all peers itself",
        )
    return _as_ca(found[0])


def _as_ca(certificate: str) -> str:
    """The text that has those trusted whom this one has signed.

    OpenSSL looks for the one that has signed an intermediate, too, unless
    that is said to be trusted.
    """
    der = ssl.PEM_cert_to_DER_cert(certificate)
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=der)
    if all(ca["subject"] == ca["issuer"] for ca in context.get_ca_certs()):
        return ssl.DER_cert_to_PEM_cert(der)
    text = ssl.DER_cert_to_PEM_cert(der + _TRUSTED)
    return text.replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-")


def _read(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError as error:
        raise CertificateRefused(
            str(path),
            f"{error.strerror}; it has to be a file that this user may read",
        ) from error


def _certificates(path: str | os.PathLike[str]) -> list[str]:
    """The certificates of a file, without the comments around them."""
    found = _ONE.findall(_read(path))
    if not found:
        raise CertificateRefused(
            str(path),
            "there are 0 certificates in PEM in it; it has to have one",
        )
    try:
        for one in found:
            _context(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=one)
    except (ssl.SSLError, ValueError) as error:
        raise CertificateRefused(
            str(path), "the certificate in it is damaged; copy it anew"
        ) from error
    return [f"{one}\n" for one in found]


def _context(protocol: int) -> ssl.SSLContext:
    """What refuses each peer whose certificate is not of a CA it knows."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False  # peers have no names
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.contextmanager
def _file(text: str) -> Iterator[str]:
    """The path of a file in memory; ssl takes some things by path only."""
    number = os.memfd_create("parallelops-tls")
    try:
        os.write(number, text.encode())
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def _plain(reason: str) -> str:
    """A name of OpenSSL's for what is wrong, in words."""
    return reason.replace("_", " ").lower()


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
