"""The one place where secrets leave URLs.

What is logged, raised or reported about a URL goes through here. A location
of an image may carry a password (``swift+https://user:password@...``,
``s3://access:secret@...``) or a signature that is as good as one
(``?temp_url_sig=...``). When in doubt a value is hidden: a reader who misses
one looks in the catalogue; a secret that got out can't be called back.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["redact_text", "redact_url"]

HIDDEN = "***"

# ``name=value`` anywhere. The possessive ``++`` keeps it linear.
_PARAMETER = re.compile(r"(?<![\w.%+-])([\w.%+-]++)=([^&#\s]+)")
_WORD = re.compile(r"[^a-z0-9]+")
_SECRET_PREFIXES = ("x-amz-", "x-goog-")
_SECRET_WORDS = frozenset(
    {
        "auth",
        "hdnea",
        "hdnts",
        "hmac",
        "jwt",
        "key",
        "otp",
        "pass",
        "pwd",
        "sas",
        "session",
        "sid",
        "sig",
        "ticket",
    }
)
_SECRET_SUFFIXES = (
    "accesskey",
    "apikey",
    "authkey",
    "authorization",
    "credential",
    "credentials",
    "keyid",
    "passkey",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "secretkey",
    "sessid",
    "sessionid",
    "signature",
    "token",
)


def redact_url(url: str) -> str:
    """``url`` without its secrets, on one line, printable.

    Hidden are what stands before the ``@`` of the host, but for the name
    before a colon, and the values of parameters whose names say that they
    are secret. It is for people to read; it can't be used as a URL. Takes
    any text at all.
    """
    return _redact("".join(map(_printable, url)))


def redact_text(text: str) -> str:
    """``text``, such as an error's, without the secrets of URLs in it.

    It is put on one line, too. Of a secret with blanks in it, only the part
    before the first is found.
    """
    return " ".join(map(redact_url, text.split()))


def _printable(character: str) -> str:
    if character.isprintable() and not character.isspace():
        return character
    octets = character.encode("utf-8", "surrogatepass")
    return "".join(f"%{octet:02X}" for octet in octets)


def _redact(word: str) -> str:
    first, *others = word.split("://")
    word = "://".join([first, *map(_without_userinfo, others)])
    return _PARAMETER.sub(_parameter, word)


def _without_userinfo(after_scheme: str) -> str:
    authority = re.split(r"[/?#]", after_scheme, maxsplit=1)[0]
    if "@" in authority:
        userinfo, _, host = authority.rpartition("@")
        rest = host + after_scheme[len(authority) :]
    else:
        # S3's secret keys have slashes in them, which people forget to
        # quote. What is all digits is a port, and what follows is a path.
        _, colon, port = authority.partition(":")
        bare = colon and not authority.startswith("[")
        if not bare or not port.strip("0123456789"):
            return after_scheme
        userinfo, at, rest = after_scheme.rpartition("@")
        if not at:
            return after_scheme
    user, colon, _ = userinfo.partition(":")
    # Alone before the host it may as well be a token.
    return f"{user}:{HIDDEN}@{rest}" if colon else f"{HIDDEN}@{rest}"


def _parameter(match: re.Match[str]) -> str:
    name, value = match.groups()
    if _is_secret(unquote(name).lower(), value) or _hides_secret(value):
        return f"{name}={HIDDEN}"
    return match[0]


def _is_secret(name: str, value: str) -> bool:
    if name == "code":
        # That of an error is a number.
        return not value.strip("),.;:'\"").isdecimal()
    return (
        name.startswith(_SECRET_PREFIXES)
        or name.endswith(_SECRET_SUFFIXES)
        or not _SECRET_WORDS.isdisjoint(_WORD.split(name))
    )


def _hides_secret(value: str) -> bool:
    """Is it a quoted URL with a secret of its own? Looks one level deep."""
    inner = unquote(value)
    if inner == value:
        return False
    pieces = inner.split("://")[1:]
    return any(piece != _without_userinfo(piece) for piece in pieces) or any(
        _is_secret(name.lower(), secret)
        for name, secret in _PARAMETER.findall(inner)
    )
