"""Secrets leave URLs, whatever the URL looks like."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelops.redact import redact_text, redact_url

SECRET = "S3cr3tValue"


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@host/path",
        f"swift+https://tenant%3Auser:{SECRET}@auth:5000/v3/c/o",
        f"s3://access:{SECRET}@host/bucket/object",
        f"s3://access:{SECRET}/with/slashes@host/bucket/object",
        f"s3://access:a/{SECRET}@host/bucket",
        f"https://user:p@{SECRET}@host/",
        f"https://user:a?{SECRET}@host/",
        f"https://user:a#{SECRET}@host/",
        f"https://{SECRET}@host/",
        f"https://host/o?temp_url_sig={SECRET}&temp_url_expires=1",
        f"https://host/o?temp_url_expires=1&temp_url_sig={SECRET}",
        f"https://host/o?X-Amz-Signature={SECRET}",
        f"https://host/o?X-Amz-Credential={SECRET}%2F2024",
        f"https://host/o?x-amz-security-token={SECRET}",
        f"https://host/o?X%2DAmz%2DSignature={SECRET}",
        f"https://host/o?X-Goog-Signature={SECRET}",
        f"https://host/o?AWSAccessKeyId={SECRET}&Expires=1",
        f"https://host/o?sv=2021&sig={SECRET}",
        f"https://host/o?Signature={SECRET}",
        f"https://host/o?accessToken={SECRET}",
        f"https://host/o?token={SECRET};more",
        f"https://host/o?api_key={SECRET}",
        f"https://host/o?key={SECRET}",
        f"https://host/o?password={SECRET}",
        f"https://host/o#access_token={SECRET}",
        f"https://host/o?passkey={SECRET}&authkey={SECRET}",
        f"https://host/o?hmac={SECRET}&jwt={SECRET}&otp={SECRET}",
        f"https://host/o?sid={SECRET}&session={SECRET}&sas={SECRET}",
        f"https://host/o?PHPSESSID={SECRET}&session_id={SECRET}",
        f"https://host/o?ticket={SECRET}&code={SECRET}&hdnts=exp=1~{SECRET}",
        f"https://host/o?next=%2Fback%3Fcode%3D{SECRET}",
        f"https://host/o?sig=&token={SECRET}",
        f"https://host/o?next=https%3A%2F%2Fu%3A{SECRET}%40h%2F",
        f"https://host/o?next=https%3A%2F%2Fh%2F%3Fsig%3D{SECRET}",
        f"/v1/c/o?temp_url_sig={SECRET}",
        f"https://host/o?sig=a b\n{SECRET}",
    ],
)
def test_a_secret_is_hidden(url):
    """Wherever a URL has its secret, it is not printed."""
    assert SECRET not in redact_url(url)
    assert "***" in redact_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///var/lib/glance/images/0f-12",
        "file:///data/a:b@c",
        "http://host:8080/a@b",
        "http://[::1]:8080/a@b",
        "rbd://fsid/pool/image/snap",
        "https://host/o?temp_url_expires=1700000000&filename=a.raw",
        "https://host/o?monkey=banana&design=1",
        "https://host/o?side=left&barcode=4&last=aside",
        "(code=503)",
        "cinder://volume",
        "",
    ],
)
def test_what_is_not_secret_stays(url):
    """An operator still sees where it is."""
    assert redact_url(url) == url


def test_the_rest_of_the_url_stays():
    """Only the secret is replaced."""
    assert (
        redact_url(f"https://joe:{SECRET}@host:1/p?a=1&sig={SECRET}&b=2#c")
        == "https://joe:***@host:1/p?a=1&sig=***&b=2#c"
    )


def test_it_is_one_printable_line():
    """A line end in a URL does not begin a line of its own in a log."""
    shown = redact_url("file:///a\nERROR all is lost\x1b[31m\udcff\u202e")
    assert shown.isprintable()
    assert " " not in shown
    assert shown.startswith("file:///a%0AERROR%20all")


def test_secrets_in_an_error_are_hidden():
    """An error quotes URLs in the middle of its text."""
    text = redact_text(
        f"HTTPConnectionPool: url: /v1/o?temp_url_sig={SECRET} (Caused by\n"
        f"'https://u:{SECRET}@h/,https://v:{SECRET}@h/' {SECRET[:0]}refused)"
    )
    assert SECRET not in text
    assert text.startswith("HTTPConnectionPool: url: /v1/o?temp_url_sig=***")
    assert text.endswith("refused)")
    assert text.isprintable()


@settings(deadline=None)
@given(st.text())
def test_any_text_will_do(text):
    """Garbage makes no error, and what comes out can be printed."""
    assert redact_url(text).isprintable()
    assert redact_text(text).isprintable()


@settings(deadline=None)
@given(
    st.sampled_from(["https", "s3", "swift+http"]),
    st.text(string.ascii_letters + ":/?#&=%", max_size=20),
    st.text(string.ascii_letters + string.digits + "/@?#&=", max_size=20),
)
def test_no_password_gets_out(scheme, before, after):
    """Neither odd passwords nor odd paths let the password through, even
    if what has to be quoted in it is not."""
    secret = f"Q{before}{SECRET}"
    shown = redact_url(f"{scheme}://user:{secret}@host/{after}")
    assert SECRET not in shown


@pytest.mark.parametrize(
    "piece", ["a", "://a:b/", "a=", "%25", "@://x:y", "://[::1]:1/@", "&a=%3A"]
)
def test_it_takes_no_time_on_hostile_text(piece):
    """Half a million characters are done within the time limit of a test
    run; anything quadratic would take hours."""
    text = piece * (500_000 // len(piece))
    assert redact_url(text)
