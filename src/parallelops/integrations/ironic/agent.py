"""What of Ironic's agent is used: its requests, its checks, its errors."""

from __future__ import annotations

import functools
import hashlib
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ironic_python_agent import config, errors, hardware, utils
from ironic_python_agent.extensions import standby

from parallelops.download import HTTPSource
from parallelops.errors import TransferError
from parallelops.integrations.ironic.source import ResponseSource
from parallelops.landing import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelops.download import Source

__all__ = [
    "CONF",
    "LeftToAgent",
    "digest_of",
    "errors",
    "known_of_the_node",
    "sources_of",
    "standby",
]

CONF = config.CONF
"""The configuration of the process, which is the agent's."""


class LeftToAgent(Exception):
    """This image is to be had by the agent itself.

    Attributes:
        reason: why.
        image_info: what is to be asked for, with what is known by now.
    """

    def __init__(self, reason: str, image_info: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.image_info = image_info


def digest_of(image_info: Mapping[str, Any]) -> Digest:
    """What the image has to come to, as the agent understands it.

    Raises:
        LeftToAgent: it can't be told, or is not of a kind that is trusted.
        RESTError: it is at a URL, and can't be had from there.
    """
    algorithm = image_info.get("os_hash_algo")
    field = "os_hash_value"
    if algorithm not in hashlib.algorithms_available:
        field = "checksum"
    said = image_info.get(field)
    if not said:
        raise LeftToAgent("it has no digest", image_info)
    if standby._is_checksum_url(said):  # noqa: SLF001 - no other way in
        said = standby._fetch_checksum(said, image_info)  # noqa: SLF001
        image_info = {**image_info, field: said}
    try:
        if field == "checksum" and not algorithm:
            made = standby._get_algorithm_by_length(said)  # noqa: SLF001
            algorithm = made.name
        return Digest(str(algorithm), said)
    except ValueError as error:
        raise LeftToAgent(str(error), image_info) from error


def sources_of(image_info: Mapping[str, Any]) -> Sequence[Source]:
    """Where the image is.

    What needs a proxy or credentials is read by the agent's own function:
    it knows how, but takes no ranges.
    """
    urls = list(image_info["urls"])
    strategies = {
        image_info.get("image_server_auth_strategy"),
        CONF.image_server_auth_strategy,
    }
    if (
        image_info.get("image_request_authorization")
        or "http_basic" in strategies
        or image_info.get("proxies")
        or any(map(_has_proxy, urls))
    ):
        ask = functools.partial(
            standby._download_with_proxy,  # noqa: SLF001
            image_info,
            image_id=image_info["id"],
        )
        return [
            ResponseSource(url, functools.partial(ask, url)) for url in urls
        ]
    context = utils.create_ssl_context("client")
    timeout = float(CONF.image_download_connection_timeout)
    try:
        return [HTTPSource(urls, timeout=timeout, ssl_context=context)]
    except TransferError as error:
        raise LeftToAgent(str(error), image_info) from error


def _has_proxy(url: str) -> bool:
    """Whether this process has a proxy for it, by its environment."""
    split = urlsplit(url)
    proxies = urllib.request.getproxies()
    return bool(
        {split.scheme, "all"} & proxies.keys()
        and not urllib.request.proxy_bypass(split.hostname or "")
    )


def known_of_the_node() -> Mapping[str, Any]:
    """The ``instance_info`` of the answer to the look-up."""
    node = hardware.get_cached_node() or {}
    return node.get("instance_info") or {}
