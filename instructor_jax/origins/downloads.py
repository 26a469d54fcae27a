"""Downloads over HTTPS that go on where they were cut, and are what their digest says or nothing.

What has arrived lies in a file of its own until it is whole. A connection that breaks is taken up again by a range
request; a server that knows no ranges sends everything anew.
"""

import dataclasses
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from instructor_jax.version import __version__

_CHUNK = 1 << 16
_SECONDS = 60.0  # without a byte
_LATER = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others a moment later
_LONGEST_PAUSE = 120.0  # seconds, whatever a server asks for
_LARGEST_UNKNOWN = 1 << 40  # bytes of a file whose size is not known


@dataclasses.dataclass(frozen=True)
class Downloads:
    """How files are downloaded.

    Attributes:
        mirror: address to ask instead: MIRROR/HOST/PATH for https://HOST/PATH. May be http, since digests decide.
        pause: seconds between two requests, so that no server is flooded.
        attempts: how often in a row a request may fail before it is given up.
        sleep: waits so many seconds; tests wait less.
    """

    mirror: str | None = None
    pause: float = 0.2
    attempts: int = 6
    sleep: Callable[[float], None] = lambda seconds: _wait(seconds)

    def fetch(
        self,
        address: str,
        to: Path,
        *,
        size: int = 0,
        sha256: str = "",
        progress: Callable[[int], object] = lambda n: None,
    ) -> None:
        """Downloads a file; goes on with what lies at `to`.

        Args:
            address: https://...
            to: where the bytes are kept; a file of the caller's own.
            size: bytes that it has; 0 where that is not known.
            sha256: its digest; empty where that is not known.
            progress: is told how many bytes arrived.

        Raises:
            ValueError: the content is another one, or the address is no https address.
            OSError: the server cannot be reached, or has no such file; with the address.
        """
        failed = 0
        while True:
            before = _length(to)
            try:
                if not (size and before >= size):
                    self._receive(address, to, size or _LARGEST_UNKNOWN, progress)
                break
            except _GivenUp:
                raise
            except (OSError, http.client.HTTPException) as error:
                failed = 1 if _length(to) > before else failed + 1
                if failed >= self.attempts:
                    raise OSError(
                        f"{address}: given up after {failed} attempts: {error or type(error).__name__}"
                    ) from error
                self.sleep(max(_asked_for(error), min(2.0**failed, _LONGEST_PAUSE)))
        if (size and _length(to) != size) or (sha256 and _digest(to) != sha256):
            found = f"{_length(to):,} bytes, sha256 {_digest(to)[:16]}..."
            to.unlink(missing_ok=True)
            raise ValueError(
                f"{address}: is not the file that is known here ({size:,} bytes, sha256 {sha256[:16]}...) "
                f"but has {found}; nothing was kept"
            )

    def _receive(self, address: str, to: Path, most: int, progress: Callable[[int], object]) -> None:
        """One request; appends what arrives."""
        self.sleep(self.pause)
        have = _length(to)
        headers = {"User-Agent": f"instructor-jax/{__version__}", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        request = urllib.request.Request(self._asked(address), headers=headers)
        try:
            response = urllib.request.urlopen(request, timeout=_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code == 416 and have:  # more than the file has: begin anew
                to.unlink()
            elif error.code not in _LATER:
                raise _GivenUp(f"{address}: the server answers {error.code} {error.reason}") from error
            raise
        with response:
            if self.mirror is None and urlsplit(response.geturl()).scheme != "https":
                raise ValueError(f"{address}: leads to {response.geturl()}, which is not https; not followed")
            goes_on = response.status == 206 and _begins_at(response.headers.get("Content-Range")) == have
            with open(to, "ab" if goes_on else "wb") as file:
                total = have if goes_on else 0
                if have and not goes_on:
                    progress(-have)
                while chunk := response.read(_CHUNK):
                    total += len(chunk)
                    if total > most:
                        raise ValueError(f"{address}: sends more than the {most:,} bytes that the file has")
                    file.write(chunk)
                    progress(len(chunk))
            left = response.length  # what was promised and did not come
        if left:
            raise http.client.IncompleteRead(b"", left)

    def _asked(self, address: str) -> str:
        parts = urlsplit(address)
        if parts.scheme != "https":
            raise ValueError(f"{address}: must begin with https://")
        if self.mirror is None:
            return address
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.mirror.rstrip('/')}/{parts.netloc}{parts.path}{query}"


class _GivenUp(OSError):
    """An answer that another attempt would not change."""


def _wait(seconds: float) -> None:
    time.sleep(seconds)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _begins_at(content_range: str | None) -> int | None:
    """First byte of a `Content-Range: bytes 10-99/100`."""
    words = (content_range or "").split()
    first = words[1].partition("-")[0] if len(words) == 2 and words[0] == "bytes" else ""
    return int(first) if first.isascii() and first.isdigit() else None


def _asked_for(error: Exception) -> float:
    """Seconds that a server asks to wait."""
    if isinstance(error, urllib.error.HTTPError):
        text = error.headers.get("Retry-After") or ""
        if text.isascii() and text.isdigit():
            return min(float(text[:6]), _LONGEST_PAUSE)
    return 0.0
