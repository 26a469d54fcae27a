"""Folders of hand-made source files, small enough to check by eye."""

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

MakeFolder = Callable[[Mapping[str, str | bytes | Mapping[str, str | bytes]]], Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Write files into a folder: name -> content. `.gz` names are gzipped; a mapping becomes a `.tar.gz` archive."""

    def make(files: Mapping[str, str | bytes | Mapping[str, str | bytes]]) -> Path:
        folder = tmp_path / "source"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            raw = _archive(content) if isinstance(content, Mapping) else _bytes(content)
            path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return folder

    return make


def _archive(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(_bytes(content))
            archive.addfile(info, io.BytesIO(_bytes(content)))
    return buffer.getvalue()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
