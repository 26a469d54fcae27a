"""Which pages are ours, so that a newer one may replace them: the head of each says what made it."""

from pathlib import Path

_LOOKED_AT = 4096  # bytes
_MADE_BY = '<meta name="generator" content="{}">'
REPORT_MAKER = "instructor-jax"
# Reports of earlier versions named no maker.
_EARLIER = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>"""


def is_our_page(path: Path, maker: str = REPORT_MAKER) -> bool:
    """Returns whether a file is a page whose head names this maker, or a report of an earlier version."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_LOOKED_AT)
    except OSError:
        return False
    head = beginning.partition(b"<title>")[0]
    if beginning.startswith(b"<!doctype html>") and _MADE_BY.format(maker).encode("ascii") in head:
        return True
    return maker == REPORT_MAKER and beginning.startswith(_EARLIER) and b"system-ui, sans-serif" in beginning
