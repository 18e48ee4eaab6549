"""Swarms: images that are shared with others, by libtorrent.

This is the only module that knows libtorrent. It is told nothing of the
origin: what was read there comes in by :meth:`Member.add_piece`.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
from typing import TYPE_CHECKING, Any, Self

from parallelops.download.member import Member, SeedLimits, free_memory
from parallelops.download.session import (
    SETTINGS,
    TICK,
    new_id,
    socket_buffer,
)
from parallelops.download.tls import DH_PARAMETERS
from parallelops.errors import MissingDependency, SwarmError
from parallelops.redact import redact_text
from parallelops.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from parallelops.download.tls import PeerTLS
    from parallelops.download.torrent import Torrent
    from parallelops.runtime import Handle, Runtime

__all__ = ["Swarm"]

_START = 5.0  # seconds
_STOP = 0.3


class Swarm:
    """Takes part in the swarms of several images, at one port.

    One thread owns the session's messages and what they change. Others are
    found by the trackers of a torrent, by their addresses, and, if asked
    for, in the local network; never by the DHT or by asking others.

    Args:
        listen: address and port, such as "0.0.0.0:6881"; port 0 is any.
        ip: the address of this machine that others are to know, in the place
            of that of ``listen``. They and the trackers are called from there,
            and trackers name the address that they are called from.
        networks: whom to talk to, such as "10.0.0.0/8"; by default
            everybody.
        rack: what machines have in common that share a switch. It is part
            of the peer id, so a tracker can name neighbours first.
        upload_limit: bytes a second to others; 0 is without limit.
        local_discovery: look for others in the local network (BEP 14). It
            works for torrents that are not private.
        seed_limits: how long images that are complete are kept up.
        devices: images may go to block devices, if libtorrent is 2.1 or
            later. It reads and writes in one thread then, which is slower
            with many images.
        tls: talk to none but those of the same CA, by TLS. Then an image
            has another info-hash; see :meth:`Torrent.among`.
        runtime: where the thread comes from; real threads by default.

    Attributes:
        id: the peer id.
        port: the port.
        devices: whether images may go to block devices.
        twin: makes another one, for the same others, at any port.

    Raises:
        MissingDependency: libtorrent is not installed.
        SwarmError: it can't listen there.
        CertificateRefused: the files for TLS can't be used.
        ValueError: an address is none.
    """

    def __init__(
        self,
        listen: str = "0.0.0.0:6881",
        *,
        ip: str | None = None,
        networks: Iterable[str] = (),
        rack: str | None = None,
        upload_limit: int = 0,
        local_discovery: bool = False,
        seed_limits: SeedLimits | None = None,
        devices: bool = False,
        tls: PeerTLS | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self._lt = _libtorrent()
        self._runtime = runtime or ThreadRuntime()
        networks = tuple(networks)
        self.twin = functools.partial(
            Swarm,
            f"{listen.rpartition(':')[0]}:0",
            ip=ip,
            networks=networks,
            rack=rack,
            upload_limit=upload_limit,
            local_discovery=local_discovery,
            tls=tls,
            runtime=runtime,
        )
        if ip is not None:
            host = str(ipaddress.ip_address(ip))
            host = f"[{host}]" if ":" in host else host
            listen = f"{host}:{listen.rpartition(':')[2]}"
        self.id = new_id(rack, self._runtime.random)
        self._limits = seed_limits or SeedLimits()
        self._tls = tls
        if tls is not None:
            tls.load()
        self._members: dict[bytes, Member] = {}
        # From when an image is added until its member is known, nobody takes
        # alerts: one could be of it.
        self._adding = self._runtime.lock()
        self._stopping = False
        self._listening = self._runtime.event()
        self._stopped = self._runtime.event()
        self._refusal = ""
        self.port = 0
        category = self._lt.alert.category_t
        wanted = self._lt.session_params()
        wanted.settings = {
            **SETTINGS,
            "send_socket_buffer_size": socket_buffer(listen),
            # Else the system would choose one each time.
            "outgoing_interfaces": ip or "",
            # The letter has it take nothing but TLS.
            "listen_interfaces": listen + ("s" if tls else ""),
            "enable_lsd": local_discovery,
            "upload_rate_limit": upload_limit,
            "peer_fingerprint": self.id.decode(),
            "alert_mask": category.error_notification
            | category.status_notification
            | category.storage_notification
            | category.tracker_notification,
        }
        # An older one would take the name, and do nothing about it.
        self.devices = devices and hasattr(wanted, "disk_io_constructor")
        if self.devices:
            # The other ways to write set a file's length first, which a
            # device refuses. A name that is wrong would mean one of them.
            wanted.disk_io_constructor = "posix_disk_io_constructor"
        try:
            self._session: Any = self._lt.session(wanted)
        except (RuntimeError, ValueError) as error:
            raise SwarmError(f"no swarm at {listen}: {error}") from error
        self._session.set_ip_filter(self._filter(networks))
        self._thread: Handle = self._runtime.spawn(
            self._pump, name="parallelops-swarm"
        )
        heard = self._listening.wait(_START)
        if self._refusal or not heard:
            self.close()
            raise SwarmError(
                f"cannot listen at {listen}: {self._refusal or 'no answer'}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def join(
        self,
        torrent: Torrent,
        data: Path,
        *,
        peers: Iterable[tuple[str, int]] = (),
        fresh: bool = False,
        wanted: range | None = None,
    ) -> Member:
        """Take part in the swarm of an image.

        Args:
            torrent: of the image.
            data: the file, in a folder of its own. What is there already is
                checked and used.
            peers: addresses and ports of others.
            fresh: nothing is there, whatever the file's size: do not look.
            wanted: these pieces and no others; by default all.

        Raises:
            SwarmError: this swarm is closed, has that image already, or
                cannot use the path or a peer.
            CertificateRefused: the files for TLS can't be used any more.
        """
        lt = self._lt
        shown = None if self._tls is None else self._tls.load()
        if shown is not None:
            torrent = torrent.among(shown.ca)
        flags = lt.torrent_flags
        params = lt.add_torrent_params()
        # Neither the name nor anything else that others chose is used.
        params.ti = lt.torrent_info(lt.bdecode(torrent.dump()))
        try:
            params.save_path = str(data.parent)
            params.renamed_files = {0: data.name}
        except UnicodeError as error:
            raise SwarmError("the path of the image is no UTF-8") from error
        params.trackers = list(torrent.trackers)
        params.flags &= ~(flags.auto_managed | flags.paused)
        params.flags |= (
            flags.duplicate_is_error
            | flags.override_trackers
            | flags.override_web_seeds
            | flags.disable_dht
            | flags.disable_pex
        )
        if fresh:
            # Else it would make the digests of a file full of holes.
            params.have_pieces = [False] * len(torrent)
        if wanted is not None:
            params.piece_priorities = [
                4 if piece in wanted else 0 for piece in range(len(torrent))
            ]
        if self._stopping:
            raise SwarmError("the swarm is closed")
        with self._adding:
            handle = None
            try:
                handle = self._session.add_torrent(params)
                if shown is not None:
                    # Nobody knows of it before, so it is there in time.
                    handle.set_ssl_certificate_buffer(
                        shown.certificate, shown.key, DH_PARAMETERS
                    )
            except (AttributeError, RuntimeError) as error:
                self._remove(handle)
                raise SwarmError(
                    f"the image cannot be shared: {error}"
                ) from error
            member = Member(
                torrent,
                self.id,
                handle,
                self._runtime.event(),
                self._runtime.event(),
                self.leave,
                flags.sequential_download,
            )
            self._members[torrent.info_hash] = member
        try:
            for address in peers:
                member.connect(address)
        except BaseException:
            member.leave()
            raise
        return member

    def leave(self, member: Member) -> None:
        """Take no part any more; the file stays as it is."""
        if self._members.pop(member.torrent.info_hash, None) is not None:
            self._remove(member.handle)

    def close(self) -> None:
        """Leave all swarms. It takes a fraction of a second."""
        self._stopping = True
        self._stopped.wait(_START)

    def _remove(self, handle: Any) -> None:
        if handle is not None:
            with contextlib.suppress(AttributeError, RuntimeError):
                self._session.remove_torrent(handle)

    # -- the thread

    def _pump(self) -> None:
        runtime = self._runtime
        looked = runtime.monotonic()
        while not self._stopping:
            self._session.wait_for_alert(TICK)
            with self._adding:
                self._take_alerts()
            if runtime.monotonic() - looked >= 1.0:
                looked = runtime.monotonic()
                for member in list(self._members.values()):
                    self._watch_seed(member)
        # A session that is deleted while it runs holds the interpreter up.
        self._session.pause()
        end = runtime.monotonic() + _STOP
        waiting = len(self._members)
        while waiting and runtime.monotonic() < end:
            self._session.wait_for_alert(TICK)
            waiting -= sum(
                isinstance(alert, self._lt.torrent_paused_alert)
                for alert in self._session.pop_alerts()
            )
        members = list(self._members.values())
        self._members.clear()
        for member in members:
            member.end("closed")
        self._session = None
        self._stopped.set()

    def _take_alerts(self) -> None:
        lt = self._lt
        # They are gone with the next look, so all that counts is copied.
        for alert in self._session.pop_alerts():
            if isinstance(alert, lt.listen_succeeded_alert):
                self.port = alert.port
                self._listening.set()
            elif isinstance(alert, lt.listen_failed_alert):
                self._refusal = redact_text(alert.message())
                self._listening.set()
            elif isinstance(alert, lt.torrent_alert):
                self._tell_member(alert)

    def _tell_member(self, alert: Any) -> None:
        lt = self._lt
        try:
            key = alert.handle.info_hash().to_bytes()
        except RuntimeError:
            return  # it has left
        member = self._members.get(key)
        if member is None:
            return
        if isinstance(alert, lt.cache_flushed_alert):
            member.flushed.set()
        elif isinstance(alert, lt.torrent_finished_alert):
            member.finished.set()
        elif isinstance(alert, (lt.file_error_alert, lt.torrent_error_alert)):
            # It would go on and wait for ever.
            member.error = redact_text(alert.message())
            member.finished.set()
        elif isinstance(
            alert, (lt.tracker_reply_alert, lt.tracker_error_alert)
        ):
            member.asked = True
        elif isinstance(alert, lt.hash_failed_alert):
            member.bad_pieces += 1

    def _watch_seed(self, member: Member) -> None:
        if not member.seeding:
            return
        try:
            status = member.handle.status()
        except (AttributeError, RuntimeError):
            return
        idle = status.time_since_upload
        seconds = status.seeding_time
        reached = self._limits.reached(
            seconds,
            status.total_payload_upload / member.torrent.size,
            seconds if idle < 0 else min(idle, seconds),
            free_memory(),
        )
        if reached:
            member.leave(reached)

    # -- settings

    def _filter(self, networks: Iterable[str]) -> Any:
        allowed = [ipaddress.ip_network(network) for network in networks]
        wanted = self._lt.ip_filter()
        if allowed:
            wanted.add_rule("0.0.0.0", "255.255.255.255", 1)  # noqa: S104
            wanted.add_rule("::", "ffff:" * 7 + "ffff", 1)
        for network in allowed:
            wanted.add_rule(str(network[0]), str(network[-1]), 0)
        return wanted


def _libtorrent() -> Any:
    try:
        import libtorrent
    except ImportError as error:
        remedy = "install it, on CPython 3.11 to 3.13: there are its wheels"
        raise MissingDependency(
            "a swarm", "libtorrent", None, remedy
        ) from error
    return libtorrent
