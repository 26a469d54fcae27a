"""Opening what holds several files or more than text: tar archives, Excel workbooks, XML documents, plain or gzipped.

Nothing is ever unpacked to disk, so that the names in an archive do not matter; links and devices are passed over. What
a member would grow to is looked at before it is read, and XML may not define entities: those of a few kilobytes can
stand for gigabytes ("billion laughs"), or for a file of this machine.
"""

import io
import tarfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

from instructor_jax.io.bounds import DOCUMENT_BYTES, MIB
from instructor_jax.io.tables.gzip_files import read_at_most

from .raw_files import decoded, malformed, open_binary

_SHEET_BYTES = 64 * MIB  # of a workbook, unpacked; the only one among the sources has 650 kB
_XML_DEPTH = 256  # elements within each other; the sources have five


def excel_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields sheet row number and the named columns of the first sheet of an Excel workbook."""
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs openpyxl: pip install 'instructor-jax[train]'") from error
    number = 1
    with open_binary(path) as file:
        _check_workbook(file, path)
        try:
            rows = openpyxl.load_workbook(file, read_only=True).worksheets[0].iter_rows(values_only=True)
            header = [str(cell) for cell in next(rows, ())]
            if absent := [name for name in columns if name not in header]:
                raise malformed(path, "0 (header)", f"needs the columns {absent}; it has {header[:10]}")
            places = [header.index(name) for name in columns]
            for number, cells in enumerate(rows, start=2):
                yield number, {name: str(cells[i] or "") for name, i in zip(columns, places, strict=True)}
        except ValueError as error:
            raise error if str(error).startswith(str(path)) else malformed(path, number, str(error)) from error
        except Exception as error:  # openpyxl meets what is not there with whatever that gives
            raise malformed(
                path, number, f"no Excel workbook that can be read ({type(error).__name__}: {error})"
            ) from error


def tar_files(path: Path, suffix: str = "") -> Iterator[tuple[str, bytes]]:
    """Yields name and bytes of the regular files of a tar archive whose name ends in `suffix`, in its order."""
    name = "beginning"
    with open_binary(path) as file:
        try:
            with tarfile.open(fileobj=_Bounded(file, path), mode="r:") as archive:  # type: ignore[arg-type]
                for member in archive:
                    name = member.name
                    if not member.isreg() or member.issparse() or not name.endswith(suffix):
                        continue
                    if member.size > DOCUMENT_BYTES:
                        raise ValueError(f"{path}: its file {name!r} has {member.size:,} bytes, too many to be read.")
                    content = archive.extractfile(member)
                    assert content is not None  # only links and folders give None
                    yield name, content.read()
        except (tarfile.TarError, EOFError, OSError, OverflowError) as error:
            raise ValueError(f"{path} is no whole tar archive, at {name!r}: {error}.") from error


def tar_texts(path: Path, suffix: str = "") -> Iterator[tuple[str, str]]:
    """Yields name and UTF-8 text of the files of a tar archive."""
    for name, raw in tar_files(path, suffix):
        yield name, decoded(raw, path / name, "utf-8").replace("\r\n", "\n")


def xml_document(raw: bytes, path: Path) -> ElementTree.Element:
    """Parses an XML document and returns its root.

    Raises:
        ValueError: It is none, has a document type definition (which could define entities), or nests too deeply.
    """
    check_xml(raw, path)
    try:
        return ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise malformed(path, error.position[0], f"not XML: {error}") from error


def check_xml(raw: bytes, path: Path) -> None:
    """Refuses XML that defines entities or nests deeply; that it is well formed is left to whoever reads it.

    Raises:
        ValueError: It has a document type definition, or elements within each other beyond `_XML_DEPTH`.
    """
    depth = 0

    def doctype(*_: Any) -> None:
        raise malformed(path, parser.CurrentLineNumber, "has a <!DOCTYPE>, which can define entities; remove it")

    def start(*_: Any) -> None:
        nonlocal depth
        depth += 1
        if depth > _XML_DEPTH:
            raise malformed(path, parser.CurrentLineNumber, f"nests deeper than {_XML_DEPTH} elements")

    def end(*_: Any) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler, parser.EndElementHandler = doctype, start, end
    try:
        parser.Parse(raw, True)
    except expat.ExpatError:
        return  # told by the reader, with its place


class _Bounded:
    """A file of which no more than `DOCUMENT_BYTES` are read at once, whatever length a header claims."""

    def __init__(self, file: io.BufferedReader, path: Path) -> None:
        self._file, self._path = file, path
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size) if 0 <= size <= DOCUMENT_BYTES else read_at_most(self._file, 0, self._path)


def _check_workbook(file: io.BufferedReader, path: Path) -> None:
    """Refuses a workbook that would grow beyond all bounds or whose XML defines entities.

    Raises:
        ValueError: So it is, or it is no zip archive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > _SHEET_BYTES:
                raise ValueError(f"{path} would unpack to {size:,} bytes, too much for a workbook of texts.")
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    check_xml(archive.read(member), path / member.filename)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no Excel workbook, or damaged: {error}.") from error
    file.seek(0)
