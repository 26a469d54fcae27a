"""An embedder as plain data: weights and the tokenizer's files, so that another process or machine needs no folder."""

import atexit
import dataclasses
import shutil
import tempfile
from pathlib import Path

import jax
from jax.sharding import Mesh

from instructor_jax.inference.compute_options import ComputeOptions
from instructor_jax.inference.devices import local_devices
from instructor_jax.io.bounds import TOKENIZER_BYTES
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.nn.model import Params
from instructor_jax.sharding import MeshShape

_SETTINGS = (".json", ".model", ".txt")  # of tokenizers; weights have other endings, or other names
_WEIGHTS = ("index.json",)


@dataclasses.dataclass(frozen=True)
class Pickled:
    """What an embedder is made of again.

    Attributes:
        folder: Configuration and prompts; its path is where the sender read the tokenizer.
        files: Files of the tokenizer and the settings in that folder, by name.
        params: Weights on the host.
        options: Options of the sender's computation, without devices.
        device_ids: Platform and numbers of the sender's devices, where it had chosen some.
    """

    folder: ModelFolder
    files: dict[str, bytes]
    params: Params
    options: ComputeOptions
    device_ids: tuple[str, tuple[int, ...]] | None


def pickled(folder: ModelFolder, params: Params, options: ComputeOptions) -> Pickled:
    """Takes an embedder apart; its weights are copied."""
    devices = options.devices
    return Pickled(
        folder=folder,
        files=_settings(Path(folder.path)),
        params=jax.tree.map(lambda array: array.copy(), params),
        options=portable(options),
        device_ids=None if devices is None else (devices[0].platform, tuple(device.id for device in devices)),
    )


def portable(options: ComputeOptions) -> ComputeOptions:
    """Returns the options without devices, which belong to their process; of a mesh of devices its shape stays."""
    mesh = options.mesh
    shape = MeshShape(**mesh.shape) if isinstance(mesh, Mesh) else mesh
    return dataclasses.replace(options, devices=None, mesh=shape)


def folder_here(parts: Pickled) -> ModelFolder:
    """Returns the folder with a tokenizer that this process can read.

    That is the sender's folder where it holds the same files here, otherwise a temporary copy that is removed when the
    process ends.
    """
    if _holds(Path(parts.folder.path), parts.files):
        return parts.folder
    return dataclasses.replace(parts.folder, path=_temporary(parts.files), root=None, dense=())


def options_here(parts: Pickled) -> ComputeOptions:
    """Returns the options with this process's devices of the sender's numbers, or with all where those are not here.

    Raises:
        ValueError: JAX has no device here.
        RuntimeError: this process was forked from one that used JAX already.
    """
    devices = None
    if parts.device_ids is not None:
        platform, numbers = parts.device_ids
        here = {device.id: device for device in local_devices() if device.platform == platform}
        if set(numbers) <= set(here):
            devices = tuple(here[number] for number in numbers)
    return dataclasses.replace(parts.options, devices=devices)


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
