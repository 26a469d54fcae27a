"""Places that are no folders of this machine: buckets and other URLs, which a path would take for a local folder.

`Path("gs://bucket/run")` is the folder `gs:` of the current one, on every host another. So a path that begins with a
scheme is refused wherever a file or a folder is meant, with what serves it as one.
"""

import os
import re
from typing import Any

from instructor_jax.io.printable import shown

# Two letters at least: one letter is a drive of Windows. A path keeps one of the two slashes.
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]+):/")
_MOUNTS = {
    "gs": "Cloud Storage FUSE (the package gcsfuse)",
    "gcs": "Cloud Storage FUSE (the package gcsfuse)",
    "s3": "Mountpoint for Amazon S3 (the package mount-s3)",
    "s3a": "Mountpoint for Amazon S3 (the package mount-s3)",
    "az": "BlobFuse (the package blobfuse2)",
    "abfs": "BlobFuse (the package blobfuse2)",
    "abfss": "BlobFuse (the package blobfuse2)",
}


def remote_scheme(place: Any) -> str | None:
    """Returns the scheme of a URL in small letters, also of one that became a path; None for paths of this machine."""
    if not isinstance(place, str | os.PathLike):
        return None
    found = _SCHEME.match(str(place))
    return found["scheme"].lower() if found else None


def refuse_remote(name: str, place: Any) -> None:
    """Checks that a path is one of this machine.

    Args:
        name: What the path is, for the message: the name of an option or a setting.
        place: Path or text.

    Raises:
        ValueError: It is a URL; says what makes it a folder.
    """
    scheme = remote_scheme(place)
    if scheme is None:
        return
    url = re.sub(r"^([^/]+):/(?!/)", r"\1://", str(place))
    if scheme == "file":
        raise ValueError(f"{name}={shown(url)} is a URL; give the path alone, without file://.")
    way = f"mount the bucket with {_MOUNTS[scheme]}" if scheme in _MOUNTS else "copy or mount it"
    raise ValueError(
        f"{name}={shown(url)} lies behind {scheme}:// and is no file or folder of this machine; {way} and give the "
        f"path there. (A folder that is really called {scheme}: is given from the root.)"
    )
