"""What tests of the scrubber have in common: faults, clocks and books."""

from __future__ import annotations

import functools

from parallelops.images import Outcome, StorePolicy
from parallelops.images import Scrubber as PlainScrubber
from parallelops.runtime import ThreadRuntime

LIMIT = 60  # seconds that no test should take
# Tries again at once, so that no test waits for it.
QUICK = StorePolicy(backoff=1e-6, parking=1e-6)
Scrubber = functools.partial(PlainScrubber, policy=QUICK)


class Clock(ThreadRuntime):
    """A clock that a test can put ahead."""

    ahead = 0.0  # seconds
    step = 0.0  # seconds more at each look

    def monotonic(self):
        self.ahead += self.step
        return super().monotonic() + self.ahead


class Faults:
    """A store in front of another one, with a fault at some locations.

    Attributes:
        at: by the end of a URL, what to do before the delete, or instead
            of it if it raises.
        deleted: the URLs that a delete was tried for.
    """

    def __init__(self, store, **at):
        self.store = store
        self.at = at
        self.deleted = []
        self.synced = []

    def delete(self, url):
        self.deleted.append(url)
        for end, fault in self.at.items():
            if url.endswith(end.replace("_", ".")):
                fault()
        self.store.delete(url)

    def probe(self):
        self.store.probe()

    def sync(self):
        self.synced.append(list(self.deleted))
        self.store.sync()


class Unsynced(Faults):
    """One that leaves nothing to sync, so that no slow disk is in the way."""

    def sync(self):
        self.synced.append(list(self.deleted))


def failing(error):
    """A fault that raises ``error``."""

    def fault():
        raise error

    return fault


def outcomes(report):
    """What became of the locations, by the ends of their URLs."""
    found = {
        result.location.url.rpartition("/")[2]: result.outcome.value
        for result in report.results
    }
    assert len(found) == len(report.results)
    return found


def check_books(place, report):
    """The report, the catalogue and the disk say the same."""
    images = dict(place.catalog.images())
    done = set()
    for result in report.results:
        (location,) = (
            location
            for location in place.catalog.locations(result.location.image_id)
            if location.id == result.location.id
        )
        gone = result.outcome in (Outcome.DELETED, Outcome.GONE)
        assert (location.status == "deleted") == gone, result
        if gone:
            assert location.url.rpartition("/")[2] not in place.files()
        else:
            assert result.reason
    for image_id, status in images.items():
        if set(place.statuses(image_id)) == {"deleted"}:
            assert status == "deleted"
        elif place.statuses(image_id):
            assert status != "deleted"
        if status == "deleted":
            done.add(image_id)
    assert set(report.images) <= done
    assert len(set(report.images)) == len(report.images)
