"""How libtorrent is to behave, and what a peer calls itself."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

__all__ = ["SETTINGS", "TICK", "new_id", "rack_tag", "socket_buffer"]

TICK = 100
"""Milliseconds from one look at what has happened to the next."""

_CLIENT = b"-PO0100-"
_ALPHABET = b"0123456789abcdefghijklmnopqrstuvwxyz"
_ID = 20

SETTINGS: dict[str, bool | int | str] = {
    # Agents are few hops apart and all want the same: nothing is looked for
    # elsewhere, and nobody is asked to open a door.
    "enable_dht": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # uTP was slow on local links.
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "out_enc_policy": 2,
    "in_enc_policy": 2,
    # By default what happens is seen after half a second.
    "tick_interval": TICK,
    # Who has a piece need not know who else has: with many members half of
    # the messages would be that.
    "send_redundant_have": False,
    # What waits to be sent on a slow line holds up the requests behind it, and
    # the news of what is here. So little waits in the system (see
    # socket_buffer), and a tenth of a second's data before it.
    "send_buffer_watermark": 512 << 10,
    "send_buffer_watermark_factor": 10,
    # What is asked of one is asked of nobody else: seconds of it would be
    # all that is missing, and whoever gets it meanwhile has nothing to do.
    "request_queue_time": 1,
    "allow_multiple_connections_per_ip": True,
    "connection_speed": 200,
    "min_reconnect_time": 2,
    "min_announce_interval": 5,
    "unchoke_interval": 2,
    "peer_connect_timeout": 5,
    "handshake_timeout": 5,
    "piece_timeout": 5,
    "request_timeout": 10,
    "peer_timeout": 30,
    "inactivity_timeout": 60,
    "stop_tracker_timeout": 1,
    "tracker_completion_timeout": 30,
    # A tracker that is asked by thousands at once is slow, not dead.
    "tracker_receive_timeout": 20,
    # Else a port in use becomes the next one, without a word.
    "listen_system_port_fallback": False,
    "max_retry_port_bind": 0,
    # Else limits of the rate don't hold on local networks.
    "ignore_limits_on_local_network": False,
    "user_agent": "parallelops",
}
"""Of libtorrent's settings, those that are not its defaults."""

_SOCKET_BUFFER = 32 << 10
# A packet has 64 KiB there. With room for only one, each would wait until the
# one before it is acknowledged: 24 MB/s in the place of 500.
_LOOPBACK_BUFFER = 64 << 10


def socket_buffer(listen: str) -> int:
    """Bytes that the system holds of what goes to one peer.

    Args:
        listen: address and port.
    """
    try:
        address = ipaddress.ip_address(listen.rpartition(":")[0].strip("[]"))
    except ValueError:
        return _LOOPBACK_BUFFER  # the name of a device: any
    by_loopback = address.is_loopback or address.is_unspecified
    return _LOOPBACK_BUFFER if by_loopback else _SOCKET_BUFFER


def new_id(rack: str | None, chance: Random) -> bytes:
    """A peer id, 20 bytes.

    libtorrent takes what is as long as an id for the whole of it.
    """
    own = bytes(chance.choice(_ALPHABET) for _ in range(_ID - 12))
    return _CLIENT + rack_tag(rack) + own


def rack_tag(rack: str | None) -> bytes:
    """The four letters of a peer id that stand for a rack."""
    if rack is None:
        return b"----"
    made = hashlib.blake2b(rack.encode(), digest_size=4).digest()
    return bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in made)
