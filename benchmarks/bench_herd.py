"""How long a herd of agents takes for one image, and what the origin sends.

Each agent, and the origin, is in a network namespace of its own, with a link
that is as slow as is said, both ways. All start at the same time. Needs root,
``ip`` and ``tc``; without them it says so, and that is all.

    python benchmarks/bench_herd.py --agents 8 --megabytes 24 --mbit 20

The bound is what no way to share can beat: the origin sends one copy, each
agent receives one, and all uploads together send one for each agent.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parallelops import load_executor
from parallelops.download import (
    Downloader,
    HTTPSource,
    Image,
    Swarm,
    Torrent,
    TorrentWriter,
)

TAG = f"po{os.getpid() % 10000}"
HUB = f"{TAG}-hub"


def run(*command: str) -> None:
    """Run a command that has to work."""
    subprocess.run(command, check=True, capture_output=True)


def inside(name: str, *command: str, **options) -> subprocess.Popen:
    """Start a process in a namespace."""
    return subprocess.Popen(
        ["ip", "netns", "exec", name, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@contextlib.contextmanager
def network(nodes: int, mbit: int):
    """A switch with so many slow links; yields names and addresses."""
    names = [f"{TAG}-{number}" for number in range(nodes)]
    try:
        run("ip", "netns", "add", HUB)
        run("ip", "-n", HUB, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", HUB, "addr", "add", "10.77.0.254/24", "dev", "br0")
        run("ip", "-n", HUB, "link", "set", "br0", "up")
        run("ip", "-n", HUB, "link", "set", "lo", "up")
        for number, name in enumerate(names):
            run("ip", "netns", "add", name)
            run(
                *("ip", "-n", HUB, "link", "add", f"h{number}"),
                *("type", "veth", "peer", "name", "eth0", "netns", name),
            )
            run("ip", "-n", HUB, "link", "set", f"h{number}", "master", "br0")
            run("ip", "-n", HUB, "link", "set", f"h{number}", "up")
            address = f"10.77.0.{number + 1}/24"
            run("ip", "-n", name, "addr", "add", address, "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
            for space, link in ((name, "eth0"), (HUB, f"h{number}")):
                # A slow link carries packets one by one. In bursts of 64 KiB
                # some connections would starve.
                run(
                    *("ip", "-n", space, "link", "set", link),
                    *("gso_max_segs", "1"),
                )
                run(
                    *("tc", "-n", space, "qdisc", "add", "dev", link),
                    *("root", "tbf", "rate", f"{mbit}mbit"),
                    *("burst", "64kb", "latency", "100ms"),
                )
        yield [(n, f"10.77.0.{i + 1}") for i, n in enumerate(names)]
    finally:
        for name in [*names, HUB]:
            subprocess.run(
                ["ip", "netns", "delete", name],
                check=False,
                capture_output=True,
            )


def agent(folder: str, url: str, digest: str, address: str) -> None:
    """One agent: gets ready, starts when told to, stays until told to go."""
    torrent = Torrent.load((Path(folder).parent / "torrent").read_bytes())
    with (
        load_executor("thread", max_workers=4) as executor,
        Swarm(f"{address}:6881") as swarm,
    ):
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        result = Downloader(executor, swarm=swarm).fetch(
            Image(digest=digest, sources=[HTTPSource(url)], torrent=torrent),
            Path(folder) / "image",
        )
        took = time.monotonic() - began
        print(json.dumps({**result.received, "took": took}), flush=True)
        sys.stdin.read()


def herd(agents: int, megabytes: int, mbit: int, kill: int) -> dict:
    """One run; ``kill`` agents are killed half way."""
    size = megabytes * 1_000_000
    with (
        tempfile.TemporaryDirectory() as name,
        network(agents + 1, mbit) as nodes,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        data = os.urandom(size)
        (folder / "image").write_bytes(data)
        digest = "sha512:" + hashlib.sha512(data).hexdigest()

        def start(space: str, *arguments: str) -> subprocess.Popen:
            process = inside(space, sys.executable, *arguments)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        host, address = nodes[0]
        origin = start(
            host,
            *("-m", "parallelops.cli.localorigin", str(folder / "image")),
            *(f"{address}:8000", "1e12"),
        )
        url = origin.stdout.readline().strip()
        tracker = start(
            HUB,
            *("-m", "parallelops", "tracker", "--listen", "10.77.0.254:6969"),
        )
        writer = TorrentWriter(size)
        writer.update(data)
        torrent = writer.finish([tracker.stdout.readline().strip()])
        (folder / "torrent").write_bytes(torrent.dump())
        herd = []
        for space, address in nodes[1:]:
            (folder / space).mkdir()
            herd.append(
                start(
                    space,
                    *(__file__, "--agent", str(folder / space)),
                    *(url, digest, address),
                )
            )
        for each in herd:
            each.stdout.readline()
        for each in herd:
            each.stdin.write("go\n")
            each.stdin.flush()
        bound = bound_of(agents, size, mbit)
        if kill:
            time.sleep(bound / 2)
            for each in herd[:kill]:
                each.kill()
        results = [json.loads(each.stdout.readline()) for each in herd[kill:]]
        origin.stdin.close()
        sent = int(origin.stdout.readline())
    took = max(result["took"] for result in results)
    return {
        "agents": agents,
        "killed": kill,
        "seconds": round(took, 2),
        "time / bound": round(took / bound, 3),
        "origin / image": round(sent / size, 3),
    }


def bound_of(agents: int, size: int, mbit: int) -> float:
    """Seconds that no way to share can beat."""
    rate = mbit * 1e6 / 8
    return max(size / rate, agents * size / ((agents + 1) * rate))


def main() -> None:
    """Run one case, or be an agent of it."""
    if sys.argv[1:2] == ["--agent"]:
        agent(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=24)
    parser.add_argument("--mbit", type=int, default=20)
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    arguments, _ = parser.parse_known_args()
    if os.geteuid() or not shutil.which("tc"):
        print("not run: network namespaces need root, ip and tc")
        return
    for _ in range(arguments.rounds):
        print(
            herd(
                arguments.agents,
                arguments.megabytes,
                arguments.mbit,
                arguments.kill,
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
