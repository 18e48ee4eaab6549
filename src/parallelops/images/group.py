"""Groups: images that belong together, fetched all or none."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from typing import TYPE_CHECKING

from parallelops.errors import FetchCancelled, GroupFailed
from parallelops.images import copying
from parallelops.images.destination import Destination
from parallelops.images.handler import Wanted
from parallelops.images.staging import Staging

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.images.fetch import Fetcher, FetchResult
    from parallelops.images.strategy import Selectable

__all__ = ["FetchProgress", "GroupMember", "ImageGroup"]

_log = logging.getLogger(__name__)

_LOOK = 0.2  # seconds between two looks at the progress


@dataclasses.dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a group has come; neither number ever shrinks.

    Attributes:
        done: bytes that came.
        total: bytes of all its images; None while that is not known.
    """

    done: int
    total: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class GroupMember:
    """One image of a group.

    Attributes:
        locations: where its data is.
        wanted: what is known of it.
    """

    locations: tuple[Selectable, ...]
    wanted: Wanted = dataclasses.field(default_factory=Wanted)

    def __post_init__(self) -> None:
        object.__setattr__(self, "locations", tuple(self.locations))

    @property
    def identity(self) -> object:
        """Equal for members that are the same disk.

        So they are if they have the same digest, or, without one, are at
        the same URLs.
        """
        wanted = self.wanted
        if wanted.digest is not None:
            return wanted.container, wanted.disk, wanted.digest.lower()
        return wanted, tuple(location.url for location in self.locations)


class ImageGroup:
    """The images of a template, which are of use only together.

    Args:
        members: the images, by the names of the files that they become.

    Raises:
        ValueError: a name is not that of a file, or there is no member.
    """

    def __init__(self, members: Mapping[str, GroupMember]) -> None:
        if not members:
            raise ValueError("a group has at least one image")
        for name in members:
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise ValueError(f"{name!r} is no name of a file")
        self.members = dict(members)

    def fetch(
        self,
        executor: Executor,
        fetcher: Fetcher,
        to: str | os.PathLike[str],
        *,
        progress: Callable[[FetchProgress], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> dict[str, FetchResult]:
        """Have all images in the new directory ``to``, or leave no trace.

        They are fetched at the same time, as far as the executor goes, into
        a private directory beside it, which is renamed when all are there
        and verified. So there is never a part of them, not even when the
        process is killed. What was killed leaves its private directory; the
        next fetch to the same place removes it. A disk that several images
        share is fetched once; each has a file of its own all the same.

        Args:
            executor: fetches, and is not shut down.
            fetcher: how one image is fetched.
            to: the directory, for its owner alone; it must not be there.
            progress: called in the calling thread, now and then. What it
                raises is logged.
            cancelled: asked now and then; True calls the fetch off.

        Returns:
                How each was fetched, by name. Those that share a disk have the
            same location, handler and attempts.

        Raises:
            GroupFailed: an image could not be fetched.
            FetchCancelled: it was called off.
            DestinationError: the directory is there already, or can't be
                made.
            ValueError: the executor's tasks don't share memory.
        """
        executor.traits.check_memory(executor.name, "group")
        with Staging(to) as staging:
            run = _Run(self, executor, fetcher, staging, cancelled)
            try:
                results = run.results(progress)
            except BaseException:
                run.stop()
                raise
            staging.commit()
        return {
            name: dataclasses.replace(result, path=staging.path / name)
            for name, result in results.items()
        }


class _Run:
    """One fetch of a group."""

    def __init__(
        self,
        group: ImageGroup,
        executor: Executor,
        fetcher: Fetcher,
        staging: Staging,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._executor = executor
        self._fetcher = fetcher
        self._folder = staging.folder
        self._cancelled = cancelled
        self._members = group.members
        # The first of those that share a disk, and the names of all.
        self._shared: dict[object, list[str]] = {}
        for name, member in group.members.items():
            self._shared.setdefault(member.identity, []).append(name)
        self._stopped = False
        self._done = dict.fromkeys(group.members, 0)
        self._told = FetchProgress(0, None)
        self._futures: dict[Future[FetchResult], list[str]] = {}

    def results(
        self, progress: Callable[[FetchProgress], object] | None
    ) -> dict[str, FetchResult]:
        """Fetch all; return when all are done, or raise."""
        for names in self._shared.values():
            future = self._executor.submit(self._fetch, names)
            self._futures[future] = names
        waiting = set(self._futures)
        timeout = None if progress is None else _LOOK
        failed: dict[str, BaseException] = {}
        while waiting:
            done, waiting = self._executor.wait(
                waiting, timeout, "FIRST_COMPLETED"
            )
            failed |= self._failures(done)
            if failed:
                self.stop()
                failed |= self._failures(waiting)
                break
            if progress is not None:
                self._tell(progress)
        if failed:
            raise self._error(failed)
        return {
            name: future.result()
            for future, names in self._futures.items()
            for name in names
        }

    def stop(self) -> None:
        """Call off what is under way; return when nothing is."""
        self._stopped = True
        for future in self._futures:
            future.cancel()
        self._executor.wait(self._futures)

    def _failures(
        self, futures: set[Future[FetchResult]]
    ) -> dict[str, BaseException]:
        return {
            name: error
            for future in futures
            if not future.cancelled() and (error := future.exception())
            for name in self._futures[future]
        }

    def _error(self, failed: dict[str, BaseException]) -> BaseException:
        # Those that were called off since another one failed are no cause.
        causes = {
            name: error
            for name, error in failed.items()
            if not isinstance(error, FetchCancelled)
        }
        if not causes:
            return next(iter(failed.values()))
        error = GroupFailed(causes)
        error.__cause__ = next(iter(causes.values()))
        return error

    # -- in a worker

    def _fetch(self, names: list[str]) -> FetchResult:
        first, *others = names
        # Those that share a disk know of its locations together.
        locations = {
            location.url: location
            for name in names
            for location in self._members[name].locations
        }

        def advance(size: int) -> None:
            # One thread writes each; a second attempt begins at 0 again.
            self._done[first] = max(self._done[first], size)

        with contextlib.ExitStack() as stack:
            destination = stack.enter_context(
                Destination(self._folder / first)
            )
            result = self._fetcher.stage(
                locations.values(),
                destination,
                self._members[first].wanted,
                progress=advance,
                cancelled=self._is_off,
            )
            copies = []
            for name in others:
                other = stack.enter_context(Destination(self._folder / name))
                copying.copy(
                    destination.file, other.create(), self._check_copy
                )
                copies.append(other)
            for each in (destination, *copies):
                each.commit()
        self._done[first] = max(self._done[first], result.size)
        return result

    def _is_off(self) -> bool:
        if self._cancelled is not None and self._cancelled():
            self._stopped = True
        return self._stopped

    def _check_copy(self, size: int) -> None:
        if self._is_off():
            raise FetchCancelled("the fetch was called off")

    # -- progress

    def _tell(self, progress: Callable[[FetchProgress], object]) -> None:
        sizes = [
            self._members[names[0]].wanted.size
            for names in self._shared.values()
        ]
        done = max(sum(self._done.values()), self._told.done)
        known = [size for size in sizes if size is not None]
        total = max(sum(known), done) if len(known) == len(sizes) else None
        now = FetchProgress(done, total)
        if now == self._told:
            return
        self._told = now
        try:
            progress(now)
        except Exception:  # noqa: BLE001 - it only looks on
            _log.exception("the progress of a group cannot be told")
