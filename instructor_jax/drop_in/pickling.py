"""An embedder as bytes: weights and the tokenizer's files, so that another process or machine needs no folder.

Unpickling touches no device. The weights go to the receiving process's devices at the first use; so an embedder that
reaches a forked worker raises there, in the call, where its pool can report it.
"""

import atexit
import dataclasses
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import jax

from instructor_jax.inference.devices import local_devices
from instructor_jax.inference.engine import ComputeOptions, Engine, kept_params, make_engine
from instructor_jax.inference.processes import check_process
from instructor_jax.io.bounds import TOKENIZER_BYTES
from instructor_jax.io.folders import ModelFolder
from instructor_jax.nn.model import Params

_SETTINGS = (".json", ".model", ".txt")  # of tokenizers; weights have other endings, or other names
_WEIGHTS = ("index.json",)
_RESTORING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Pickled:
    """What an embedder is made of again.

    Attributes:
        folder: configuration and prompts; its path is where the sender read the tokenizer.
        files: the tokenizer's and the settings' files of that folder.
        params: the weights.
        options: as the sender had them, without devices.
        device_ids: platform and numbers of the sender's devices, where it had chosen some.
    """

    folder: ModelFolder
    files: dict[str, bytes]
    params: Params
    options: ComputeOptions
    device_ids: tuple[str, tuple[int, ...]] | None


class Portable:
    """Copies and pickles of an embedder; `Instructor` brings the rest."""

    folder: ModelFolder
    _options: ComputeOptions
    _engine: Engine | None
    _pickled: Pickled | None

    def __copy__(self) -> Any:
        """Another embedder with settings of its own over the same weights and programs, which nothing changes."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.folder = dataclasses.replace(self.folder, prompts=dict(self.folder.prompts))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        check_process()
        parts = self._pickled if self._engine is None else pickled(self.folder, self._engine, self._options)
        options = dataclasses.replace(self._options, devices=None)  # JAX's devices belong to their process
        return {**self.__dict__, "_engine": None, "_options": options, "_pickled": parts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def _ready(self) -> Engine:
        """Tokenizer and weights; those of a pickled model are put in place here, at the first use.

        Raises:
            RuntimeError: this process was forked from one that used JAX already.
            ValueError: JAX has no device here.
        """
        engine = self._engine
        if engine is not None:
            return engine
        check_process()
        with _RESTORING:
            if self._engine is None:
                assert self._pickled is not None
                parts = dataclasses.replace(self._pickled, folder=self.folder)  # settings may have changed since
                self.folder, engine, self._options = restored(parts)
                self._pickled, self._engine = None, engine
        return self._ready()


def pickled(folder: ModelFolder, engine: Engine, options: ComputeOptions) -> Pickled:
    """Takes an embedder apart."""
    devices = options.devices
    return Pickled(
        folder=folder,
        files=_settings(Path(folder.path)),
        params=jax.tree.map(lambda array: array.copy(), kept_params(engine, options.dtype)),
        options=dataclasses.replace(options, devices=None),
        device_ids=None if devices is None else (devices[0].platform, tuple(device.id for device in devices)),
    )


def restored(parts: Pickled) -> tuple[ModelFolder, Engine, ComputeOptions]:
    """Puts an embedder together, on this process's devices of the same numbers, or on all where those are not here.

    The tokenizer is read from the sender's folder where that holds the same files here, otherwise from a temporary copy
    that is removed when the process ends.
    """
    devices = None
    if parts.device_ids is not None:
        platform, numbers = parts.device_ids
        here = {device.id: device for device in local_devices() if device.platform == platform}
        if set(numbers) <= set(here):
            devices = tuple(here[number] for number in numbers)
    options = dataclasses.replace(parts.options, devices=devices)
    folder = parts.folder
    if not _holds(Path(folder.path), parts.files):
        folder = dataclasses.replace(folder, path=_temporary(parts.files), root=None, dense=None)
    return folder, make_engine(folder, parts.params, options), options


def _settings(folder: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.suffix in _SETTINGS
        and not file.name.endswith(_WEIGHTS)
        and file.is_file()
        and file.stat().st_size <= TOKENIZER_BYTES
    }


def _holds(folder: Path, files: dict[str, bytes]) -> bool:
    try:
        return folder.is_dir() and _settings(folder) == files
    except OSError:
        return False


def _temporary(files: dict[str, bytes]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="instructor-jax-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)
    return folder
