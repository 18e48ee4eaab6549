"""How Ironic's agent finds this library: by what it loads anyway."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from parallelops import config
from parallelops.errors import ParallelopsError
from parallelops.integrations.ironic.downloads import AgentDownloads

if TYPE_CHECKING:
    from oslo_config import cfg

    from parallelops.download import Swarm
    from parallelops.executor import Executor

__all__ = ["DownloadManager", "install"]

_log = logging.getLogger(__name__)


class DownloadManager:
    """Is loaded as a hardware manager, and supports no hardware.

    When it is asked whether it does, it has images downloaded by this
    library, if ``download_in_agent`` says so.
    """

    def evaluate_hardware_support(self) -> int:
        """No hardware at all.

        What can't be set up is logged, and the agent downloads by itself: a
        node that deploys slowly is better than one that does not.
        """
        from parallelops.integrations.ironic import agent

        try:
            if not isinstance(agent.standby.ImageDownload, AgentDownloads):
                install(agent.CONF)
        except (OSError, ParallelopsError) as error:
            _log.error("the agent downloads images by itself: %s", error)
        return 0


def install(conf: cfg.ConfigOpts) -> AgentDownloads | None:
    """Have the agent of this process download as ``conf`` asks for it.

    Returns:
        What does it, which :meth:`AgentDownloads.remove` ends; None if the
        agent is to do it by itself.

    Raises:
        ConfigError: an option cannot work.
        MissingDependency: ironic-python-agent is not installed.
    """
    config.validate(conf)
    options = conf[config.GROUP]
    if not options.download_in_agent:
        return None
    owned = contextlib.ExitStack()
    try:
        executor = owned.enter_context(
            config.executor_from(conf, name="downloads")
        )
        swarm = _swarm(conf, executor, owned)
        downloads = AgentDownloads(
            config.downloader_from(conf, executor, swarm=swarm),
            spool=options.download_spool,
            trackers=options.download_trackers,
            owned=owned,
        )
    except BaseException:
        owned.close()
        raise
    downloads.install()
    return downloads


def _swarm(
    conf: cfg.ConfigOpts, executor: Executor, owned: contextlib.ExitStack
) -> Swarm | None:
    if conf[config.GROUP].download_spool is None:
        return None
    try:
        return owned.enter_context(config.swarm_from(conf, executor.runtime))
    except (OSError, ParallelopsError) as error:
        _log.warning("images are not shared: %s", error)
        return None
