"""A real Glance: its database, made by its own migrations, and its stores.

What users do to images is done through Glance's own database API, in the
order in which its service does it.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path

import sqlalchemy
from glance import context
from glance.db.sqlalchemy import api, models
from oslo_config import cfg
from oslo_db.options import database_opts

from parallelops import load_executor
from parallelops.config import glance as options
from parallelops.images import Scrubber
from parallelops.integrations.glance import (
    GlanceCatalog,
    GlanceStores,
    reader,
)

ADMIN = context.get_admin_context(show_deleted=True)
BIN = Path(sys.executable).parent

NOW = datetime(2026, 1, 1)

ONE_STORE = """
[glance_store]
stores = file,http
default_store = file
filesystem_store_datadir = {root}
"""

TWO_STORES = """
[fast]
filesystem_store_datadir = {root}
[slow]
filesystem_store_datadir = {root}-slow
[web]
[glance_store]
default_backend = fast
"""


class World:
    """A Glance whose images can be made, deleted and scrubbed.

    The database at ``url`` is emptied; the files are in ``path``.
    ``stores`` configures other stores than those of files.
    """

    def __init__(self, url, path, *, several=False, stores=None, **extra):
        self.url = url
        self.root = path / "images"
        self.slow = path / "images-slow"
        self.config = path / "glance-scrubber.conf"
        for root in (self.root, self.slow):
            root.mkdir()
            (root / "bystander").write_text("not yours")
        self.several = several
        self.stores = stores or (TWO_STORES if several else ONE_STORE)
        if several:
            extra["enabled_backends"] = "fast:file,slow:file,web:http"
        self.extra = extra
        self.write_config()
        self.engine = sqlalchemy.create_engine(url)
        self.empty()
        self.use()

    def write_config(self, scrubbing="", **extra):
        """Write the file that Glance and we read."""
        lines = "\n".join(
            f"{name} = {value}" for name, value in (self.extra | extra).items()
        )
        self.config.write_text(
            f"[DEFAULT]\ndelayed_delete = True\n{lines}\n"
            f"[database]\nconnection = {self.url}\n"
            f"{self.stores.format(root=self.root)}\n{scrubbing}"
        )

    def use(self):
        """Have Glance's own code, in this process, work with it."""
        api._main_context_manager = None
        cfg.CONF.register_opts(database_opts, "database")
        cfg.CONF(
            ["--config-file", str(self.config)],
            project="glance",
            default_config_files=[],
        )

    def close(self):
        """Leave nothing open."""
        if api._main_context_manager is not None:
            api.get_engine().dispose()
            api._main_context_manager = None
        self.engine.dispose()

    def empty(self):
        """Forget all images."""
        with self.engine.begin() as connection:
            for table in (
                "image_locations",
                "image_properties",
                "image_members",
                "image_tags",
                "images",
            ):
                connection.execute(sqlalchemy.text(f"DELETE FROM {table}"))

    # -- what users and operators do

    def add(self, locations=1, *, urls=None, metadata=None, size=4):
        """Add an active image with files; its id."""
        image_id = str(uuid.uuid4())
        if urls is None:
            paths = [self.root / f"{image_id}.{n}" for n in range(locations)]
            for path in paths:
                path.write_text("data"[:size])
            urls = [path.as_uri() for path in paths]
        if metadata is None:
            metadata = {"store": "fast"} if self.several else {}
        api.image_create(
            ADMIN,
            {
                "id": image_id,
                "status": "active",
                "size": size,
                "min_disk": 0,
                "min_ram": 0,
                "visibility": "private",
                "locations": [
                    {"url": url, "metadata": metadata, "status": "active"}
                    for url in urls
                ],
            },
        )
        return image_id

    def remove_locations(self, image_id, which=slice(None)):
        """Remove locations of an image, with delayed delete."""
        image = api.image_get(ADMIN, image_id)
        for location in image["locations"][which]:
            api.image_location_delete(
                ADMIN, image_id, location["id"], "pending_delete"
            )

    def delete(self, image_id):
        """Delete an image, with delayed delete."""
        self.remove_locations(image_id)
        api.image_update(ADMIN, image_id, {"status": "pending_delete"})
        api.image_destroy(ADMIN, image_id)

    def deleted(self, images=1, locations=1, **chosen):
        """Images that were added and deleted; their ids."""
        ids = [self.add(locations, **chosen) for _ in range(images)]
        for image_id in ids:
            self.delete(image_id)
        return ids

    def many_deleted(self, images, locations=(2, 2, 2, 2, 2, 2, 2, 1)):
        """The same in one go, as the rows are after it.

        An image has as many locations as ``locations`` says in turn.
        """
        when = {"created_at": NOW, "deleted_at": NOW, "deleted": True}
        rows, places = [], []
        for number in range(images):
            image_id = str(uuid.UUID(int=number))
            rows.append(
                {
                    "id": image_id,
                    "status": "pending_delete",
                    "size": 4,
                    "min_disk": 0,
                    "min_ram": 0,
                    "visibility": "private",
                    "protected": False,
                    "os_hidden": False,
                    **when,
                }
            )
            for n in range(locations[number % len(locations)]):
                path = self.root / f"{image_id}.{n}"
                path.write_text("data")
                places.append(
                    {
                        "image_id": image_id,
                        "value": path.as_uri(),
                        "meta_data": {},
                        "status": "pending_delete",
                        **when,
                    }
                )
        with self.engine.begin() as connection:
            connection.execute(models.Image.__table__.insert(), rows)
            connection.execute(models.ImageLocation.__table__.insert(), places)
        return [row["id"] for row in rows]

    def glance_restore(self, image_id):
        """What ``glance-scrubber --restore`` does."""
        api.image_restore(ADMIN, image_id)

    def glance_scrub(self, *arguments):
        """Run Glance's own scrubber once."""
        subprocess.run(
            [
                *(BIN / "glance-scrubber", "--config-file", self.config),
                *arguments,
            ],
            check=True,
            capture_output=True,
            timeout=180,
        )

    # -- what can be seen

    def rows(self, table, **where):
        """Rows of a table, oldest first."""
        found = sqlalchemy.table(
            table, *(sqlalchemy.column(name) for name in where)
        )
        query = (
            sqlalchemy.select(sqlalchemy.text("*"))
            .select_from(found)
            .where(*(found.c[name] == value for name, value in where.items()))
            .order_by(sqlalchemy.text("id"))
        )
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def status(self, image_id):
        """The statuses of an image, and of its locations."""
        (image,) = self.rows("images", id=image_id)
        locations = self.rows("image_locations", image_id=image_id)
        return image["status"], [row["status"] for row in locations]

    def downloadable(self, image_id):
        """What a user could read of it: Glance's own view."""
        image = api.image_get(context.get_admin_context(), image_id)
        return [location["url"] for location in image["locations"]]

    def files(self):
        """The names of the files that are left."""
        return {
            path.name
            for root in (self.root, self.slow)
            for path in root.iterdir()
        } - {"bystander"}

    def is_there(self, location):
        """Is its data there?"""
        return GlanceStores(self.conf()).is_there(location)

    # -- scrubbing

    def conf(self):
        """The file, as we read it."""
        return options.read([str(self.config)])

    def scrub(self, workers=4, **chosen):
        """Scrub once, in this process; the report."""
        conf = self.conf()
        stores = GlanceStores(conf)
        with (
            self.catalog(conf, stores) as catalog,
            load_executor("thread", max_workers=workers) as executor,
        ):
            return Scrubber(
                executor,
                catalog=catalog,
                store=stores.by_name,
                policy=stores.policies(),
                **chosen,
            ).run_once()

    def catalog(self, conf=None, stores=None):
        """A catalogue of its database."""
        conf = conf or self.conf()
        stores = stores or GlanceStores(conf)
        catalog = GlanceCatalog(
            self.url,
            read_url=reader(conf.metadata_encryption_key, stores.of),
        )
        stores.sample = catalog.sample
        return catalog

    def command(self, *arguments):
        """Our command, on its configuration, in a process of its own."""
        return subprocess.run(
            [
                *(sys.executable, "-m", "parallelops", "scrub"),
                *("--glance-config", self.config, *arguments),
            ],
            capture_output=True,
            text=True,
            timeout=180,
        )


def migrate(url, path):
    """Make Glance's tables, by its own migrations."""
    config = path / "manage.conf"
    config.write_text(f"[database]\nconnection = {url}\n")
    subprocess.run(
        [BIN / "glance-manage", "--config-file", config, "db_sync"],
        check=True,
        capture_output=True,
        timeout=180,
    )
