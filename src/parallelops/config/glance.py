"""Glance's own options, as its scrubber names them.

They are read into a configuration of our own. Registering them with the one
of the process would clash with Glance's definitions, if it is loaded too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oslo_config import cfg

from parallelops import config
from parallelops.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read"]

# What they mean, Glance documents. Only the names and defaults count here.
_OPTIONS = [
    cfg.IntOpt("scrub_time", default=0, min=0),
    cfg.IntOpt("scrub_pool_size", default=1, min=1),
    cfg.BoolOpt("delayed_delete", default=False),
    cfg.IntOpt("wakeup_time", default=300, min=0),
    cfg.BoolOpt("daemon", default=False),
    cfg.StrOpt("restore"),
    cfg.StrOpt("metadata_encryption_key", secret=True),
    cfg.DictOpt("enabled_backends", default={}),
]
# Under which names [parallelops] has them.
_SAME = {
    "scrub_time": "scrub_time",
    "scrub_pool_size": "scrub_pool_size",
    "wakeup_time": "scrub_interval",
}
_DATABASE = [cfg.StrOpt("connection", secret=True)]


def read(files: Sequence[str]) -> cfg.ConfigOpts:
    """A configuration with Glance's options, and those of [parallelops].

    What [parallelops] does not set is taken from Glance's ``scrub_time``,
    ``scrub_pool_size`` and ``wakeup_time``.

    Args:
        files: Glance's files, such as ``/etc/glance/glance-scrubber.conf``,
            and no others; later ones win.

    Raises:
        ConfigError: one cannot be read, or has an option that cannot work.
    """
    conf = cfg.ConfigOpts()
    conf.register_opts(_OPTIONS)
    conf.register_opts(_DATABASE, group="database")
    config.read(files, conf)
    for option in _OPTIONS:
        try:
            conf[option.dest]
        except ValueError as error:
            name = f"[DEFAULT] {option.dest}"
            raise ConfigError(name, str(error)) from error
    if not conf.database.connection:
        raise ConfigError(
            "[database] connection",
            f"is not set in {', '.join(files)}: name Glance's database",
        )
    for theirs, ours in _SAME.items():
        found = conf.get_location(ours, group=config.GROUP)
        if found is None or found.location is cfg.Locations.opt_default:
            # Their wakeup_time may be 0: one run after the other.
            least = 1 if ours == "scrub_interval" else 0
            config.override(conf, ours, max(conf[theirs], least))
    return conf
