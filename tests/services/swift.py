"""A real Swift on this machine: one of each of its servers, one device.

It has tempauth, temporary URLs, static large objects and the middleware for
rate limits. Each proxy has limits of its own, and a real memcached, where it
notes who called when; the first one has no limits.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.services.processes import Server, free_ports

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
KEY = "a key for temporary URLs"
ACCOUNT, USER, PASSWORD = "AUTH_test", "test:tester", "testing"
# One who has nothing to do with that account.
STRANGER = "other:stranger"

RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for name, port in zip(("account", "container", "object"), map(int, ports)):
    builder = RingBuilder(4, 1, 1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0,
                     "ip": "127.0.0.1", "port": port, "device": "d1"})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""

COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
workers = 0
"""

STORAGE = (
    COMMON
    + """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
)

PROXY = (
    COMMON
    + """
[pipeline:main]
pipeline = catch_errors gatekeeper cache tempurl ratelimit keystone tempauth \
slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memory}
# A busy machine is no reason to do without it, as nothing is limited then.
memcache_max_connections = 64
connect_timeout = 10
pool_timeout = 10
io_timeout = 10
error_suppression_interval = 0
[filter:tempurl]
use = egg:swift#tempurl
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_other_stranger = testing
[filter:keystone]
paste.filter_factory = tests.services.keystone:factory
[filter:ratelimit]
use = egg:swift#ratelimit
{limits}
"""
)


def missing(folder):
    """What a Swift in this folder lacks; empty if nothing."""
    if shutil.which("memcached") is None:
        return "memcached is not installed: apt install memcached"
    try:
        os.setxattr(folder, "user.swift", b"1")
    except OSError:
        return f"the file system of {folder} has no extended attributes"
    return ""


class Swift:
    """A Swift whose data is in ``folder``.

    Attributes:
        proxy: the proxy without limits.
    """

    def __init__(self, folder):
        self.folder = folder
        self._servers = []
        (folder / "devices" / "d1").mkdir(parents=True)
        (folder / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_suffix = tests\n"
        )
        kinds = ("account", "container", "object")
        ports = free_ports(3)
        subprocess.run(
            [sys.executable, "-c", RINGS, folder, *map(str, ports)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        try:
            for kind, port in zip(kinds, ports, strict=True):
                self._start_swift(kind, kind, port, STORAGE)
            self.proxy = self.limited()
        except BaseException:
            self.stop()
            raise

    def limited(self, **limits):
        """One more proxy, with these options of the rate-limit middleware.

        A proxy knows how many objects a container has, by which it is
        limited, from when it is first asked for it, for a minute.
        """
        memory, port = free_ports(2)
        self._start(
            f"memcached-{memory}",
            memory,
            [
                *("memcached", "-u", _user(), "-m", "16"),
                *("-l", "127.0.0.1", "-p", memory),
            ],
        )
        self._start_swift(
            f"proxy-{port}",
            "proxy",
            port,
            PROXY,
            memory=memory,
            limits="\n".join(f"{key} = {limits[key]}" for key in limits),
        )
        for server in self._servers:
            server.wait()
        return Proxy(port)

    def stop(self):
        """End all of it; its data stays."""
        for server in reversed(self._servers):
            server.stop()

    def _start_swift(self, name, kind, port, template, **values):
        config = self.folder / f"{name}.conf"
        config.write_text(
            template.format(
                kind=kind,
                port=port,
                user=_user(),
                folder=self.folder,
                **values,
            )
        )
        program = BIN / f"swift-{kind}-server"
        self._start(name, port, [program, config, "--verbose"])

    def _start(self, name, port, command):
        log = self.folder / f"{name}.log"
        # Where the filter is.
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._servers.append(Server(command, port, log, env=env))


class Proxy:
    """A proxy of a Swift, and what an administrator does with it.

    Attributes:
        url: where it is.
        path: of the account.
        auth: where one signs in, as with Keystone.
    """

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.path = f"/v1/{ACCOUNT}"
        self.auth = f"{self.url}/v3"
        self.token = self.token_of(USER)
        self.ask("POST", "", headers={"X-Account-Meta-Temp-URL-Key": KEY})

    def token_of(self, user):
        """A token."""
        _, headers, _ = self.request(
            "GET",
            "/auth/v1.0",
            headers={"X-Auth-User": user, "X-Auth-Key": PASSWORD},
        )
        return headers["X-Auth-Token"]

    def ask(self, method, path, body=b"", headers=None, query=""):
        """A request with the token, that has to work; the body."""
        status, _, answer = self.request(
            method,
            self.path + quote(path) + query,
            body,
            {"X-Auth-Token": self.token, **(headers or {})},
        )
        assert 200 <= status < 300, (method, path, status, answer)
        return answer

    def request(self, method, target, body=b"", headers=None):
        """The status, the headers and the body of an answer."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60
        )
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def put(self, path, data=b"data"):
        """An object, in a container that is made if it is not there."""
        self.ask("PUT", "/" + path.split("/")[1])
        self.ask("PUT", path, data)

    def put_large(self, path, data, size):
        """A static large object of segments of ``size`` bytes."""
        parts = []
        for number, begin in enumerate(range(0, len(data), size)):
            part = data[begin : begin + size]
            name = f"{path}_segments/{number:08}"
            self.put(name, part)
            parts.append({"path": name})
        self.ask("PUT", "/" + path.split("/")[1])
        manifest = json.dumps(parts).encode()
        self.ask("PUT", path, manifest, query="?multipart-manifest=put")

    def names(self, container):
        """The names of the objects of a container."""
        listing = self.ask("GET", f"/{container}", query="?format=json")
        return [each["name"] for each in json.loads(listing)]

    def temporary(self, path, seconds=300.0, key=KEY):
        """A URL to read an object by, that expires."""
        expires = int(time.time() + seconds)
        target = self.path + quote(path)
        signature = hmac.new(
            key.encode(), f"GET\n{expires}\n{target}".encode(), hashlib.sha256
        ).hexdigest()
        return (
            f"{self.url}{target}?temp_url_sig={signature}"
            f"&temp_url_expires={expires}"
        )

    def status(self, url, **headers):
        """The status with which a URL of its own is answered."""
        split = urlsplit(url)
        target = split.path + (f"?{split.query}" if split.query else "")
        return self.request("GET", target, headers=headers)[0]


def _user():
    """Who this process is, by name."""
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
