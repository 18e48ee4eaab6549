"""Arguments, and kinds of them, that several commands take."""

from __future__ import annotations

import argparse
import ipaddress
import math
from typing import TYPE_CHECKING, Any

from parallelops.landing import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "add_json",
    "add_repeated",
    "address",
    "amount",
    "count",
    "digest",
    "endpoint",
    "listening",
    "network",
    "seconds",
]


def add_json(parser: Any, text: str = "print JSON") -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help=text)


def add_repeated(
    parser: Any,
    name: str,
    metavar: str,
    text: str,
    *,
    kind: Callable[[str], object] = str,
) -> None:
    """Add an option that may be given several times; its values are a
    list."""
    parser.add_argument(
        name,
        action="append",
        type=kind,
        default=[],
        metavar=metavar,
        help=f"{text}; may be repeated",
    )


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
    return amount(text, "number of seconds")


def amount(text: str, what: str = "number, 0 or more") -> float:
    """A number, 0 or more.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {what}")
    return number


def digest(text: str) -> str:
    """A digest, such as sha512:HEX.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        Digest.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def endpoint(text: str) -> tuple[str, int]:
    """An address and a port from 1 to 65535.

    Raises:
        ArgumentTypeError: it is none.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        good = port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not ADDRESS:PORT, such as 10.0.0.5:6881"
        )
    return host, int(port)


def listening(text: str) -> str:
    """Where to listen: the address of an interface, and a port.

    Raises:
        ArgumentTypeError: it is not ADDRESS:PORT.
    """
    address, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(address.strip("[]"))
        good = port.isascii() and port.isdigit() and int(port) < 1 << 16
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not ADDRESS:PORT, such as 0.0.0.0:6969"
        )
    return text


def address(text: str) -> str:
    """An address, such as 10.0.0.5.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no address") from error


def network(text: str) -> str:
    """A network, such as 10.0.0.0/8.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no network") from error
