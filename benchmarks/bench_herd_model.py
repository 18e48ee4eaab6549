"""What the origin sends to ten thousand agents, in virtual time.

The decisions are the library's own; links, origin and the tracker's queue are
modelled, see herdmodel.py. Prints one line for agents that start at once, and
one for agents that come one after the other.

    python benchmarks/bench_herd_model.py --agents 10000 --racks 200
"""

from __future__ import annotations

import argparse
import time

from herdmodel import Case, Model


def main() -> None:
    """Run both cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--racks", type=int, default=200)
    parser.add_argument("--staggered", type=float, default=60.0)
    arguments, _ = parser.parse_known_args()
    for spread in (1.0, arguments.staggered):
        began = time.perf_counter()
        case = Case(
            agents=arguments.agents, racks=arguments.racks, spread=spread
        )
        found = Model(case).run()
        shown = {name: round(value, 3) for name, value in found.items()}
        took = time.perf_counter() - began
        print(f"within {spread:g} s: {shown}, modelled in {took:.0f} s")


if __name__ == "__main__":
    main()
