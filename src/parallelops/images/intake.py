"""What a run takes from the catalogue: pages of images, and claims."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelops.images.catalog import Catalog, Claimed, DueImage
    from parallelops.runtime import Runtime

__all__ = ["Intake"]

_PAGE = 200  # images


class Intake:
    """Lists what is due, claims it, and keeps the claims alive.

    Args:
        catalog: the catalogue.
        runtime: where its clocks come from.
        before: only what went to ``pending_delete`` then or earlier.
        limit: images at the most; None is all.
        lease: seconds for which a claim holds.

    Attributes:
        listed: images that were listed so far.
        over: there is nothing more to list.
    """

    def __init__(
        self,
        catalog: Catalog,
        runtime: Runtime,
        *,
        before: float,
        limit: int | None,
        lease: float,
    ) -> None:
        self.listed = 0
        self.over = False
        self._catalog = catalog
        self._runtime = runtime
        self._before = before
        self._left = math.inf if limit is None else limit
        self._lease = lease
        self._last: DueImage | None = None
        self._held: dict[str, DueImage] = {}
        self._renewed = runtime.monotonic()

    def page(self) -> Sequence[DueImage]:
        """The next images, which nobody has claimed; none at the end."""
        size = int(min(_PAGE, self._left))
        page: Sequence[DueImage] = ()
        if size and not self.over:
            page = self._catalog.due(
                self._before, self._last, size, now=self._runtime.time()
            )
        if page:
            self._last = page[-1]
            self._left -= len(page)
            self.listed += len(page)
        else:
            self.over = True
        return page

    def claim(self, images: Iterable[DueImage], limit: int) -> Claimed:
        """Claim up to ``limit`` of ``images``; see :meth:`Catalog.claim`."""
        if not self._held:
            self._renewed = self._runtime.monotonic()
        now = self._runtime.time()
        claimed = self._catalog.claim(
            images,
            limit,
            before=self._before,
            now=now,
            until=now + self._lease,
        )
        self._held.update((image.id, image) for image in claimed.images)
        if claimed.refused and self._left < math.inf:
            # The limit is for what is ours.
            self._left += len(claimed.refused)
            self.over = False
        return claimed

    def renew(self) -> frozenset[str]:
        """Renew the claims when a third of the lease is over.

        Returns:
            Ids of the images that are somebody else's now.
        """
        now = self._runtime.monotonic()
        if not self._held or now - self._renewed < self._lease / 3:
            return frozenset()
        self._renewed = now
        lost = self._catalog.renew(
            self._held.values(), self._runtime.time() + self._lease
        )
        self.forget(lost)
        return lost

    def forget(self, images: Iterable[str]) -> None:
        """These are nobody's again, or somebody else's."""
        for image_id in images:
            self._held.pop(image_id, None)
