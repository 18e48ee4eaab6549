"""A real Glance whose images are in a real Swift."""

from __future__ import annotations

import shutil
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tests.integrations.glance.world import World, migrate

STORES = """
[glance_store]
stores = swift
default_store = swift
default_swift_reference = ref1
swift_store_config_file = {config}
"""

REFERENCE = """
[ref1]
user = test:tester
key = testing
user_domain_id = default
project_domain_id = default
auth_address = {auth}
"""


def make(folder, auth, migrated=None):
    """A Glance in ``folder`` that signs in to its store at ``auth``.

    Args:
        migrated: a file with Glance's tables, to be copied.
    """
    config = folder / "swift-store.conf"
    config.write_text(REFERENCE.format(auth=auth))
    url = f"sqlite:///{folder}/glance.sqlite"
    if migrated is None:
        migrate(url, folder)
    else:
        shutil.copy(migrated, folder / "glance.sqlite")
    return World(url, folder, stores=STORES.format(config=config))


def deleted(world, proxy, container, count):
    """Images with an object each, that wait to be scrubbed; their ids.

    Args:
        proxy: where the objects are put.
    """
    ids = []
    for number in range(count):
        proxy.put(f"/{container}/{number}")
        ids += world.deleted(
            urls=[f"swift+config://ref1/{container}/{number}"]
        )
    return ids
