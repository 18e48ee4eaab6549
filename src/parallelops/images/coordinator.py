"""One run of a scrubber, as the calling thread sees it.

Data flows one way: pages of due images come from the catalogue, each image
goes to a worker, and its results go to the recorder. Only this thread
touches the catalogue; workers touch only stores.
"""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED
from typing import TYPE_CHECKING, Any

from parallelops.errors import CatalogError, ExecutorSaturated
from parallelops.images.deletion import ImageDeletion, explain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from parallelops.executor import Executor
    from parallelops.images.catalog import DueImage
    from parallelops.images.deletion import Stores
    from parallelops.images.recorder import Recorder

__all__ = ["Coordinator"]

_log = logging.getLogger(__name__)

_STOPPED = "the run was stopped"


class Coordinator:
    """Brings images to workers and results to the recorder.

    Args:
        executor: where the workers are. Others may use it too.
        stores: the stores.
        recorder: takes the results.
        delete_timeout: seconds that one delete may take, and that an image
            may wait while no worker gets anywhere.
        tick: seconds after which to look round although nothing happened.
        hung: by image, the tasks whose delete did not end in time, of
            earlier runs too. They keep their workers.
    """

    def __init__(
        self,
        executor: Executor,
        stores: Stores,
        recorder: Recorder,
        *,
        delete_timeout: float,
        tick: float,
        hung: dict[str, Future[Any]],
    ) -> None:
        self._executor = executor
        self._runtime = executor.runtime
        self._stores = stores
        self._recorder = recorder
        self._delete_timeout = delete_timeout
        self._tick = tick
        self._hung = hung
        self._flights: dict[Future[Any], ImageDeletion] = {}
        self._moved = self._runtime.monotonic()  # when a worker last did
        self._why_skip = ""

    def run(self, images: Iterable[DueImage]) -> None:
        """Delete ``images`` and record what came of it.

        If it is interrupted, it records what has ended, leaves alone what
        has begun, and cancels the rest.

        Raises:
            CatalogError: the catalogue can't be read or written. Nothing
                more is tried.
        """
        try:
            for image in images:
                self._start(image)
                self._recorder.flush_if_due()
            while self._flights:
                self._wait()
            self._recorder.flush()
        except CatalogError:
            self._stop()
            raise
        except BaseException:
            self._stop()
            self._recorder.flush()
            raise

    def _start(self, image: DueImage) -> None:
        """Give ``image`` to a worker, as soon as there is room."""
        deletion = ImageDeletion(image, self._stores, self._runtime)
        if not image.locations:
            self._end(deletion, "")
            return
        if not self._flights:
            self._moved = self._runtime.monotonic()
        while True:
            if self._why_skip:
                self._end(deletion, self._why_skip)
                return
            self._forget_ended()
            if image.id in self._hung:
                why = "a delete of an earlier run has still not ended"
                self._end(deletion, why)
                return
            if self._has_room() and self._submit(deletion):
                return
            if not self._flights and not self._hung:
                # Others have it all. This way it goes on, if slowly.
                try:
                    deletion()
                finally:
                    self._end(deletion, _STOPPED)
                return
            self._wait()

    def _submit(self, deletion: ImageDeletion) -> bool:
        """False if somebody else was faster, and there is no room now."""
        try:
            self._flights[self._executor.submit(deletion)] = deletion
        except ExecutorSaturated:
            return False
        except BaseException:
            # An interrupt may come when it was accepted.
            self._end(deletion, _STOPPED)
            raise
        return True

    def _has_room(self) -> bool:
        """Is there a free worker, or a place in our share of the queue?

        One image waits for each worker, so that none has nothing to do
        while a batch is recorded.
        """
        stats = self._executor.stats()
        workers, queue = stats.max_workers, stats.max_queue
        ours = len(self._flights) + len(self._hung)
        if queue is None:
            return ours < 2 * workers
        return (
            ours < workers + min(workers, queue)
            and stats.running + stats.queued < workers + queue
        )

    def _wait(self) -> None:
        """Wait until something has happened, and see to it."""
        self._executor.wait(
            [*self._flights, *self._hung.values()],
            timeout=self._tick,
            return_when=FIRST_COMPLETED,
        )
        self._forget_ended()
        for future in [future for future in self._flights if future.done()]:
            self._land(future)
        for deletion in self._flights.values():
            self._recorder.add(deletion.image, deletion.take(), done=False)
        self._look_for_hung()
        self._look_for_starved()
        self._recorder.flush_if_due()

    def _land(self, future: Future[Any]) -> None:
        """A task has ended; all of its locations are to have a result."""
        deletion = self._flights.pop(future)
        self._moved = self._runtime.monotonic()
        if future.cancelled():
            self._end(deletion, "the executor cancelled its task")
            return
        error = future.exception()
        self._end(deletion, explain(error) if error else "")
        if isinstance(error, KeyboardInterrupt):
            raise error

    def _end(self, deletion: ImageDeletion, why: str) -> None:
        deletion.close(why)
        self._recorder.add(deletion.image, deletion.take(), done=True)

    def _look_for_hung(self) -> None:
        for future, deletion in tuple(self._flights.items()):
            deletion.close_if_overdue(self._delete_timeout)
            if deletion.closed:
                del self._flights[future]
                self._hung[deletion.image.id] = future
                self._end(deletion, "")
                _log.warning(
                    "a delete of image %s has not ended after %g s; its "
                    "worker is left alone",
                    deletion.image.id,
                    self._delete_timeout,
                )

    def _look_for_starved(self) -> None:
        """Give up if no worker has begun or ended anything for too long."""
        for deletion in self._flights.values():
            self._moved = max(self._moved, deletion.since or self._moved)
        if self._runtime.monotonic() - self._moved < self._delete_timeout:
            return
        self._why_skip = f"no worker came free for {self._delete_timeout:g} s"
        for future, deletion in tuple(self._flights.items()):
            deletion.close_if_waiting(self._why_skip)
            if deletion.closed:
                del self._flights[future]
                future.cancel()
                self._end(deletion, "")

    def _forget_ended(self) -> None:
        for image_id, future in tuple(self._hung.items()):
            if future.done():
                del self._hung[image_id]

    def _stop(self) -> None:
        """Begin nothing more; keep what has ended."""
        for future, deletion in self._flights.items():
            future.cancel()
            self._end(deletion, _STOPPED)
        self._flights.clear()
