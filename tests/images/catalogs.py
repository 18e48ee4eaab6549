"""What tests of the embedded catalogue have in common."""

from __future__ import annotations

import sqlite3


def add(catalog, image_id, locations=1):
    """Add an image that is somewhere."""
    return catalog.add_image(
        image_id, [(f"file:///{image_id}.{n}", "s") for n in range(locations)]
    )


def due(catalog, before=1e9, page=100):
    """All that is due, page by page."""
    found, last = [], None
    while images := catalog.due(before, last, page):
        assert len(images) <= page
        found += images
        last = images[-1]
    return found


def execute(path, *statements):
    """Write to the file behind the catalogue's back."""
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
