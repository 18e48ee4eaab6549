"""What errors of stores mean, told without importing who raises them.

The look-alikes have the names and attributes of the real ones: those of
glance_store.exceptions, swiftclient.exceptions and requests.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelops.errors import (
    ImageDataNotFound,
    LocationBlocked,
    LocationRefused,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)
from parallelops.images import Kind, Verdict, classify


class GlanceStoreException(Exception):
    """The root of those of glance_store."""


def of_glance_store(name):
    """An error of glance_store, with its base."""
    return type(name, (GlanceStoreException,), {})("message")


class ClientException(Exception):
    """As swiftclient's."""

    def __init__(self, status, headers=None):
        super().__init__("Object DELETE failed")
        self.http_status = status
        self.http_response_headers = headers or {}


class Response:
    """As that of requests."""

    def __init__(self, status, headers):
        self.status_code = status
        self.headers = headers


class HTTPError(OSError):
    """As that of requests."""

    def __init__(self, response):
        super().__init__("error")
        self.response = response


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ImageDataNotFound("x"), Kind.GONE),
        (LocationBlocked("x"), Kind.BLOCKED),
        (LocationRefused("x"), Kind.UNSUPPORTED),
        (StoreBusy("x"), Kind.BUSY),
        (StoreUnavailable("x"), Kind.RETRY),
        (StoreError("x"), Kind.RETRY),
        (TimeoutError("x"), Kind.UNKNOWN),
        (type("ReadTimeout", (OSError,), {})(), Kind.UNKNOWN),
        (OSError("x"), Kind.RETRY),
        (ZeroDivisionError(), Kind.RETRY),
        (SystemExit(404), Kind.GONE),
        (SystemExit(1), Kind.RETRY),
    ],
)
def test_errors_of_python_and_of_ours(error, kind):
    """By their class."""
    assert classify(error) == Verdict(kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NotFound", Kind.GONE),
        ("Forbidden", Kind.BLOCKED),
        ("InUseByStore", Kind.BLOCKED),
        ("HasSnapshot", Kind.BLOCKED),
        ("StoreDeleteNotSupported", Kind.UNSUPPORTED),
        ("UnknownScheme", Kind.UNSUPPORTED),
        ("BadStoreUri", Kind.UNSUPPORTED),
        ("RemoteServiceUnavailable", Kind.RETRY),
        ("BackendException", Kind.RETRY),
    ],
)
def test_errors_of_glance_store(name, kind):
    """By the name of the class, or that of one it is made of."""
    error = of_glance_store(name)
    assert classify(error) == Verdict(kind)
    assert classify(type("Own", (type(error),), {})()) == Verdict(kind)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Kind.RETRY),
        (403, Kind.BLOCKED),
        (404, Kind.GONE),
        (405, Kind.UNSUPPORTED),
        (409, Kind.BLOCKED),
        (429, Kind.BUSY),
        (498, Kind.BUSY),
        (500, Kind.RETRY),
        (503, Kind.BUSY),
        (504, Kind.UNKNOWN),
    ],
)
def test_errors_with_a_status(status, kind):
    """Wherever the client has put it."""
    assert classify(ClientException(status)).kind == kind
    assert classify(HTTPError(Response(status, {}))).kind == kind


def test_retry_after():
    """Of our own error, of an attribute, or of a header in any case."""
    assert classify(StoreBusy("x", 7.5)).retry_after == 7.5
    error = ClientException(429, {"retry-after": "12"})
    assert classify(error) == Verdict(Kind.BUSY, "12")
    response = Response(503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"})
    assert classify(HTTPError(response)).retry_after.endswith("GMT")
    error = ClientException(429)
    error.retry_after = 3
    assert classify(error) == Verdict(Kind.BUSY, 3.0)
    # Swift's own limit says nothing.
    assert classify(ClientException(498)) == Verdict(Kind.BUSY)


def failed_sign_in(status):
    """What swiftclient makes of it if Keystone answers so."""
    try:
        try:
            raise ClientException(status, {"Retry-After": "5"})
        except ClientException as error:
            raise ValueError("authorization failure") from error
    except ValueError:
        try:
            raise RuntimeError("of swiftclient, without a status")
        except RuntimeError as error:
            return error


def test_who_could_not_sign_in_is_told_when_to_ask_again():
    """But nothing of the data: what Keystone lacks may be in the store."""
    assert classify(failed_sign_in(503)) == Verdict(Kind.BUSY, "5")
    for status in (401, 403, 404, 410):
        assert classify(failed_sign_in(status)).kind == Kind.RETRY


ANYTHING = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(), st.booleans()
)


@given(
    status=ANYTHING,
    wait=ANYTHING,
    headers=st.one_of(ANYTHING, st.dictionaries(st.text(), ANYTHING)),
)
def test_it_never_fails(status, wait, headers):
    """Whatever attributes an error has."""
    error = Exception()
    error.status = status
    error.retry_after = wait
    error.response = error
    error.headers = headers
    assert classify(error).kind in Kind
