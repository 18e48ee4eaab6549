"""Database servers of one's own, on sockets that nobody else finds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

# A Debian package keeps what makes a cluster out of everybody's way.
_VERSIONS = Path("/usr/lib/postgresql")


class Server:
    """A server that a test starts.

    Attributes:
        url: of its database "glance", which is empty at first.
        process: the server.
    """

    url: str
    process: subprocess.Popen

    def client(self, *command, **options):
        """Run a program that has to work."""
        subprocess.run(
            command, check=True, capture_output=True, timeout=180, **options
        )

    def stop(self):
        """End it."""
        self.process.send_signal(self.ending)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class MariaDB(Server):
    """A MariaDB, with its data in ``path``, which has to be short."""

    ending = signal.SIGTERM

    def __init__(self, path):
        socket = path / "s.sock"
        self.client(
            *("mariadb-install-db", "--no-defaults", "--user=root"),
            *(f"--datadir={path}/data", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        )
        self.process = subprocess.Popen(
            [
                *("mariadbd", "--no-defaults", "--user=root"),
                *(f"--datadir={path}/data", f"--socket={socket}"),
                *("--skip-networking", f"--pid-file={path}/pid"),
                *("--innodb-buffer-pool-size=64M", "--log-warnings=1"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        who = ("--no-defaults", "-uroot", f"-S{socket}")
        self.client("mariadb-admin", *who, "--wait=30", "ping")
        self.client("mariadb", *who, "-e", "CREATE DATABASE glance")
        self.url = (
            f"mysql+pymysql://root@localhost/glance?unix_socket={socket}"
        )

    @staticmethod
    def missing():
        """What to install; nothing if it is here."""
        needed = ("mariadbd", "mariadb-install-db", "mariadb-admin")
        here = all(map(shutil.which, needed))
        return "" if here else "apt install mariadb-server"


class PostgreSQL(Server):
    """A PostgreSQL, with its data in ``path``, which has to be short.

    It refuses to be root's: root's path and process become those of the
    user whom its package makes.
    """

    ending = signal.SIGINT  # "fast": it waits for no client

    def __init__(self, path):
        user = None
        if os.geteuid() == 0:
            user = "postgres"
            shutil.chown(path, user)
        programs = self.programs()
        data = path / "data"
        self.client(
            *(programs / "initdb", "-D", data, "-U", "postgres"),
            *("-A", "trust", "--no-sync"),
            user=user,
            cwd=path,
        )
        self.process = subprocess.Popen(
            [
                *(programs / "postgres", "-D", data, "-k", path),
                *("-c", "listen_addresses="),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=path,
        )
        who = ("-h", path, "-U", "postgres")
        while subprocess.run([programs / "pg_isready", "-q", *who]).returncode:
            assert self.process.poll() is None
        self.client(programs / "createdb", *who, "glance")
        self.url = f"postgresql+psycopg2://postgres@/glance?host={path}"

    @staticmethod
    def programs():
        """The folder of its programs."""
        found = _VERSIONS.glob("*/bin/postgres") if _VERSIONS.exists() else ()
        newest = max(found, key=lambda p: int(p.parts[-3]), default=None)
        return newest and newest.parent

    @classmethod
    def missing(cls):
        """What to install; nothing if it is here."""
        return "" if cls.programs() else "apt install postgresql"
