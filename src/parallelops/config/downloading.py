"""What is made of the options for downloading images."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, Any

from parallelops.errors import SwarmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelops.download import (
        Downloader,
        Gate,
        GateContext,
        HTTPSource,
        Swarm,
    )
    from parallelops.executor import Executor
    from parallelops.runtime import Runtime

__all__ = ["downloader", "source", "swarm"]


@contextlib.contextmanager
def swarm(values: Mapping[str, Any], runtime: Runtime) -> Iterator[Swarm]:
    """See :func:`parallelops.config.swarm_from`."""
    from parallelops.download import PeerTLS, SeedLimits, Swarm

    ratio = values["download_seed_ratio"]
    tls = None
    if values["download_tls_ca"] is not None:
        tls = PeerTLS(
            ca=values["download_tls_ca"],
            certificate=values["download_tls_certificate"],
            key=values["download_tls_key"],
        )
    with Swarm(
        values["download_listen"],
        ip=values["download_ip"],
        networks=values["download_networks"],
        rack=values["download_rack"],
        upload_limit=values["download_upload_limit"],
        local_discovery=values["download_local_discovery"],
        seed_limits=SeedLimits(
            seconds=values["download_seed_time"],
            ratio=math.inf if ratio is None else ratio,
            idle=values["download_seed_idle"],
            free_memory=values["download_seed_free_memory"],
        ),
        tls=tls,
        runtime=runtime,
    ) as made:
        yield made


def downloader(
    values: Mapping[str, Any], executor: Executor, swarm: Swarm | None
) -> Downloader:
    """See :func:`parallelops.config.downloader_from`."""
    from parallelops.download import Downloader, HerdOptions, load_gate

    def gate(context: GateContext) -> Gate:
        trackers = values["download_trackers"] or context.trackers
        try:
            return load_gate(
                values["download_gate"],
                dataclasses.replace(
                    context,
                    fetchers=values["download_fetchers"],
                    trackers=tuple(trackers),
                ),
            )
        except ValueError as error:
            raise SwarmError(str(error)) from error

    return Downloader(
        executor,
        connections=values["download_connections"],
        timeout=values["download_timeout"],
        swarm=swarm,
        gate=gate,
        herd=HerdOptions(
            grace=values["download_grace"],
            stall=values["download_stall"],
            patience=values["download_patience"],
        ),
    )


def source(
    values: Mapping[str, Any],
    urls: str | Sequence[str],
    options: dict[str, Any],
) -> HTTPSource:
    """See :func:`parallelops.config.source_from`."""
    from parallelops.download import HTTPSource

    return HTTPSource(
        urls, **{"timeout": values["download_origin_timeout"], **options}
    )
