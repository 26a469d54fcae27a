"""Reads `pytorch_model.bin` without PyTorch, as memory-mapped arrays.

Since PyTorch 1.6 such a file is a zip archive of one pickle (which names the tensors) and one uncompressed record per
storage, so a tensor is a strided view of the mapped file. The archive is input from strangers: every size is checked
against the file before it is used, and the pickle is interpreted, never run.
"""

import mmap
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from jaxtyping import Shaped

from instructor_jax.io.bounds import ARCHIVE_LIST_BYTES, PICKLE_BYTES
from instructor_jax.io.printable import shown
from instructor_jax.io.weights.git_lfs import LFS_POINTER
from instructor_jax.io.weights.torch_pickle import interpret_state_dict
from instructor_jax.io.weights.torch_records import Storage, TensorRecord

_OLD_FORMAT = (
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled magic number that every file before 1.6 begins with
)
_ENTRY_MAGIC = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes of a zip entry's local header before its name and extra field (PKWARE APPNOTE 4.3.7)


def read_torch_file(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The tensors of a file that `torch.save(model.state_dict(), path)` wrote, in its order and its dtypes.

    The arrays are read-only views of the mapped file; tensors that share a storage share memory. Checksums of the
    records in use are verified.

    Raises:
        ValueError: the file is damaged, in the format before PyTorch 1.6, written on a big-endian machine, or holds
            anything but a flat state dict; in no case is code from the file executed.
        OSError: it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            _refuse_other_formats(file.read(64))
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        archive = _Archive(path, content)
        if archive.has("constants.pkl"):
            raise ValueError("it is a TorchScript program; save the state dict of the model instead")
        if archive.has("byteorder") and bytes(archive.record("byteorder", 16)) != b"little":
            raise ValueError("it was not written on a little-endian machine; save it again on one, or as safetensors")
        return _tensors(interpret_state_dict(archive.record("data.pkl", PICKLE_BYTES)), archive)
    except ValueError as error:
        raise ValueError(f"{path} is not a PyTorch weight file that can be read safely: {error}.") from error


class _ListOfRecords:
    """The file as zipfile reads it, but for a list of records that is longer than any model's: it reads that whole."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        most = ARCHIVE_LIST_BYTES + 1
        content = self.file.read(most if size < 0 else min(size, most))
        if len(content) == most:
            raise ValueError(f"its list of records has more than {ARCHIVE_LIST_BYTES:,} bytes, more than weights need")
        return content


class _Archive:
    """The records of one zip archive, by their name below the archive's top folder."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.content = memoryview(content)
        self.unread = len(content)  # bytes that records can still have, if none of them overlap
        try:
            with path.open("rb") as file, zipfile.ZipFile(cast(BinaryIO, _ListOfRecords(file))) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, OverflowError, OSError, UnicodeDecodeError) as error:
            raise ValueError(f"its zip archive is damaged or cut short ({error})") from error
        self.entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            name = entry.filename.partition("/")[2]
            if name in self.entries:
                raise ValueError(f"its record {shown(name, 80)} appears twice")
            self.entries[name] = entry

    def has(self, name: str) -> bool:
        return name in self.entries

    def record(self, name: str, limit: int | None = None) -> memoryview:
        """The bytes of a record, uncompressed in the file and equal to their checksum; at most `limit` of them."""
        told = shown(name, 80)
        if name not in self.entries:
            raise ValueError(f"its record {told} is missing")
        entry = self.entries[name]
        if limit is not None and entry.file_size > limit:
            raise ValueError(f"its record {told} has {entry.file_size:,} bytes, more than {limit:,}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.compress_size != entry.file_size:
            raise ValueError(f"its record {told} is compressed or encrypted; PyTorch stores records as they are")
        header = self.content[entry.header_offset : entry.header_offset + _LOCAL_HEADER]
        if entry.header_offset < 0 or len(header) != _LOCAL_HEADER or bytes(header[:4]) != _ENTRY_MAGIC:
            raise ValueError(f"its record {told} does not begin where the archive says")
        name_and_extra = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = entry.header_offset + _LOCAL_HEADER + name_and_extra
        data = self.content[start : start + entry.file_size]
        if len(data) != entry.file_size:
            raise ValueError(f"its record {told} has {entry.file_size} bytes in the archive's list, not in the file")
        self.unread -= len(data)
        if self.unread < 0:  # checksums of records that overlap could take for ever
            raise ValueError("its records overlap, so that together they are longer than the file")
        if zlib.crc32(data) != entry.CRC:
            raise ValueError(f"its record {told} does not match its checksum; fetch the file again")
        return data


def _refuse_other_formats(head: bytes) -> None:
    if head.startswith(LFS_POINTER):
        raise ValueError("it is a Git LFS pointer, not the weights; run 'git lfs pull' in its repository")
    if head.startswith(_OLD_FORMAT):
        raise ValueError(
            "it has the format from before PyTorch 1.6; convert it where PyTorch is installed: "
            "torch.save(torch.load(path, weights_only=True), path)"
        )
    if not head.startswith(_ENTRY_MAGIC):
        raise ValueError("it does not begin like a zip archive, which torch.save writes")


def _tensors(records: dict[str, TensorRecord], archive: _Archive) -> dict[str, np.ndarray]:
    storages: dict[str, memoryview] = {}
    tensors = {}
    for name, tensor in records.items():
        key = tensor.storage.key
        if key not in storages:
            storages[key] = archive.record(f"data/{key}")
        _check_size(tensor.storage, len(storages[key]))
        tensors[name] = _view(tensor, storages[key])
    return tensors


def _check_size(storage: Storage, stored: int) -> None:
    declared = storage.count * (storage.dtype.itemsize if storage.dtype is not None else 1)
    if declared != stored:
        raise ValueError(f"storage {shown(storage.key, 80)} should have {declared} bytes, but its record has {stored}")


def _view(tensor: TensorRecord, data: memoryview) -> np.ndarray:
    if 0 in tensor.shape:
        return np.empty(tensor.shape, tensor.dtype)
    size = tensor.dtype.itemsize
    flat = np.frombuffer(data, tensor.dtype, count=len(data) // size - tensor.offset, offset=tensor.offset * size)
    strides = tuple(step * size for step in tensor.stride)
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)
