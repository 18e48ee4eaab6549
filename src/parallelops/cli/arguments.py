"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse
import ipaddress
import math

from parallelops.landing import Digest

__all__ = ["count", "digest", "endpoint", "network", "seconds"]


def count(text: str) -> int:
    """A whole number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number above 0"
        )
    return number


def seconds(text: str) -> float:
    """A number of seconds, 0 or more.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds"
        )
    return number


def digest(text: str) -> Digest:
    """A digest, such as sha512:HEX.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return Digest.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def endpoint(text: str) -> tuple[str, int]:
    """An address and a port.

    Raises:
        ArgumentTypeError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def network(text: str) -> str:
    """A network, such as 10.0.0.0/8.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no network") from error
