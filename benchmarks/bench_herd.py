"""How long a herd of agents takes for one image, and what the origin sends.

Each agent, and the origin, is in a network namespace of its own, with a link
that is as slow as is said, both ways. All start at the same time. Needs root,
``ip`` and ``tc``; without them it says so, and that is all.

    python benchmarks/bench_herd.py --agents 8 --megabytes 24 --mbit 20

With ``--kill 3`` three agents are killed half way. With ``--racks 2`` the
agents are at two switches, each with one line to the rest that is twice as
fast as that of an agent. With ``--origin-dies`` the origin is killed once each
piece has been handed in to the swarm.

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
from parallelops.download.member import Member

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


def slow(space: str, link: str, mbit: int) -> None:
    """Have one end of a link send no faster."""
    # A slow link carries packets one by one. In bursts of 64 KiB some
    # connections would starve.
    run("ip", "-n", space, "link", "set", link, "gso_max_segs", "1")
    run(
        *("tc", "-n", space, "qdisc", "add", "dev", link),
        *("root", "tbf", "rate", f"{mbit}mbit"),
        *("burst", "64kb", "latency", "100ms"),
    )


def switch(name: str) -> None:
    """A bridge in the hub."""
    run("ip", "-n", HUB, "link", "add", name, "type", "bridge")
    run("ip", "-n", HUB, "link", "set", name, "up")


def plug(at: str, link: str, space: str, end: str, mbit: int) -> None:
    """A link from a bridge to a namespace, slow both ways."""
    run(
        *("ip", "-n", HUB, "link", "add", link),
        *("type", "veth", "peer", "name", end, "netns", space),
    )
    run("ip", "-n", HUB, "link", "set", link, "master", at)
    for where, name in ((HUB, link), (space, end)):
        run("ip", "-n", where, "link", "set", name, "up")
        slow(where, name, mbit)


@contextlib.contextmanager
def network(nodes: int, mbit: int, racks: int):
    """Switches with so many slow links; yields names, addresses, racks.

    The first node, for the origin, is in no rack.
    """
    names = [f"{TAG}-{number}" for number in range(nodes)]
    placed = []
    try:
        run("ip", "netns", "add", HUB)
        switch("br0")
        run("ip", "-n", HUB, "addr", "add", "10.77.0.254/24", "dev", "br0")
        run("ip", "-n", HUB, "link", "set", "lo", "up")
        for rack in range(1, racks + 1 if racks > 1 else 1):
            switch(f"br{rack}")
            plug("br0", f"up{rack}", HUB, f"down{rack}", 2 * mbit)
            run(
                *("ip", "-n", HUB, "link", "set", f"down{rack}"),
                *("master", f"br{rack}"),
            )
        for number, name in enumerate(names):
            rack = 1 + number % racks if number and racks > 1 else 0
            run("ip", "netns", "add", name)
            plug(f"br{rack}", f"h{number}", name, "eth0", mbit)
            address = f"10.77.0.{number + 1}"
            run(
                "ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0"
            )
            run("ip", "-n", name, "link", "set", "lo", "up")
            placed.append((name, address, f"rack{rack}"))
        yield placed
    finally:
        for name in [*names, HUB]:
            subprocess.run(
                ["ip", "netns", "delete", name],
                check=False,
                capture_output=True,
            )


def agent(folder: str, url: str, digest: str, address: str, rack: str) -> None:
    """One agent: gets ready, starts when told to, stays until told to go."""
    torrent = Torrent.load((Path(folder).parent / "torrent").read_bytes())
    pieces = Path(folder).parent / "pieces"
    hand_in = Member.add_piece

    def add_piece(member: Member, index: int, data: bytes) -> None:
        hand_in(member, index, data)
        (pieces / str(index)).touch()

    Member.add_piece = add_piece
    with (
        load_executor("thread", max_workers=4) as executor,
        Swarm(f"{address}:6881", rack=rack) as swarm,
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


def herd(case: argparse.Namespace) -> dict:
    """One run."""
    agents, mbit = case.agents, case.mbit
    size = case.megabytes * 1_000_000
    # In memory if that can be: a disk that all share is nobody's link.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as name,
        network(agents + 1, mbit, case.racks) as nodes,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        data = os.urandom(size)
        (folder / "image").write_bytes(data)
        (folder / "pieces").mkdir()
        digest = "sha512:" + hashlib.sha512(data).hexdigest()

        def start(space: str, *arguments: str) -> subprocess.Popen:
            process = inside(space, sys.executable, *arguments)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        host, address, _ = nodes[0]
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
        for space, address, rack in nodes[1:]:
            (folder / space).mkdir()
            herd.append(
                start(
                    space,
                    *(__file__, "--agent", str(folder / space)),
                    *(url, digest, address, rack),
                )
            )
        for each in herd:
            each.stdout.readline()
        for each in herd:
            each.stdin.write("go\n")
            each.stdin.flush()
        bound = bound_of(agents, size, mbit)
        if case.kill:
            time.sleep(bound / 2)
            for each in herd[: case.kill]:
                each.kill()
        if case.origin_dies:
            while len([*(folder / "pieces").iterdir()]) < len(torrent):
                time.sleep(0.05)
            origin.kill()
        results = [
            json.loads(each.stdout.readline()) for each in herd[case.kill :]
        ]
        if case.origin_dies:
            sent = sum(result["origin"] for result in results)
        else:
            origin.stdin.close()
            sent = int(origin.stdout.readline())
    took = max(result["took"] for result in results)
    return {
        "agents": agents,
        "racks": case.racks,
        "killed": case.kill,
        "origin dies": case.origin_dies,
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
    parser.add_argument("--racks", type=int, default=1)
    parser.add_argument("--origin-dies", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    arguments, _ = parser.parse_known_args()
    if os.geteuid() or not shutil.which("tc"):
        print("not run: network namespaces need root, ip and tc")
        return
    for _ in range(arguments.rounds):
        print(herd(arguments), flush=True)


if __name__ == "__main__":
    main()
