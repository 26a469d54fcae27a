"""Devices by the names that PyTorch users give them, and what to do where there are none.

JAX says `gpu` where PyTorch says `cuda`; both names are understood, with a number behind a colon (`cuda:1`).
"""

import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from instructor_jax.inference.processes import use_devices_here
from instructor_jax.io.printable import shown
from instructor_jax.sharding import Device

_PLATFORMS = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu", "rocm": "gpu", "tpu": "tpu"}
_CURES = {
    "gpu": "on a machine with an NVIDIA GPU run pip install 'instructor-jax[cuda13]', or use device='cpu'",
    "tpu": "on a machine with a TPU run pip install 'instructor-jax[tpu]', or use device='cpu'",
    "cpu": "JAX_PLATFORMS leaves the CPU out; add it: JAX_PLATFORMS=cuda,cpu",
}


class DeviceName(str):
    """A device as PyTorch spells it, with the attributes of a `torch.device`; `tensor.to(name)` takes it."""

    @property
    def type(self) -> str:
        """ "cpu", "cuda" or "tpu"."""
        return self.partition(":")[0]

    @property
    def index(self) -> int | None:
        """The number behind the colon."""
        number = self.partition(":")[2]
        return int(number) if number else None


def local_devices(platform: str | None = None, asked: str = "") -> list[Device]:
    """This process's devices: JAX's default ones, or those of a platform.

    Args:
        platform: "cpu", "gpu" or "tpu".
        asked: what the user wrote, for the message.

    Raises:
        ValueError: JAX cannot start, or has none of this platform; the message says what to install or set.
        RuntimeError: this process was forked from one that used JAX.
    """
    use_devices_here()
    try:
        return jax.local_devices(backend=platform)
    except (RuntimeError, AssertionError) as error:  # JAX asserts where JAX_PLATFORMS leaves nothing
        setting = os.environ.get("JAX_PLATFORMS")
        reason = (str(error).splitlines() or ["no backend was started"])[0][:300].rstrip(".")
        if platform is not None:
            raise ValueError(f"{asked}: JAX sees no {platform.upper()} here; {_CURES[platform]} ({reason}).") from error
        wanted = _PLATFORMS.get((setting or "").partition(",")[0], "")
        cure = _CURES[wanted] if wanted in ("gpu", "tpu") else "the names are cpu, cuda and tpu, in small letters"
        if setting:
            raise ValueError(
                f"JAX_PLATFORMS={shown(setting)} asks for a platform that JAX cannot start here: set it to cpu, or "
                f"unset it; {cure} ({reason})."
            ) from error
        raise ValueError(f"JAX cannot start: {reason}. JAX_PLATFORMS=cpu uses the CPU alone.") from error


def chosen_devices(devices: Any, name: str = "devices") -> list[Device]:
    """The devices that a user means.

    Args:
        devices: None for all local ones; names such as "cpu", "cuda", "cuda:1", a torch.device, a JAX device, a number
            (of a GPU, as PyTorch counts); or several of them.
        name: the argument's, for messages.

    Returns:
        The devices, each once, in the order given.

    Raises:
        ValueError: there is none, it is not here, or they are of several platforms.
    """
    if devices is None:
        return local_devices()
    several = devices.ravel().tolist() if isinstance(devices, np.ndarray) else devices
    if isinstance(several, str | bytes) or not isinstance(several, Sequence):
        several = [several]
    found = [device for one in several for device in _named(one, name)]
    if not found:
        raise ValueError(f"{name}={shown(devices)} holds no device; give at least one, or None for all.")
    unique = list(dict.fromkeys(found))
    platforms = {device.platform for device in unique}
    if len(platforms) > 1:
        raise ValueError(f"{name}={shown(devices)} mixes {' and '.join(sorted(platforms))}; give devices of one kind.")
    return unique


def device_name(device: Device) -> DeviceName:
    """The name of a JAX device as PyTorch spells it: "cpu", "cuda:0", "tpu:3"."""
    if device.platform == "cpu":
        return DeviceName("cpu")
    return DeviceName(f"{'cuda' if device.platform == 'gpu' else device.platform}:{device.local_hardware_id or 0}")


def _named(device: Any, name: str) -> list[Device]:
    if isinstance(device, jax.Device):
        return [device]
    text = f"cuda:{device}" if type(device) is int else str(device)
    kind, colon, number = text.strip().lower().partition(":")
    if type(device).__name__ not in ("str", "int", "device", "DeviceName"):
        raise ValueError(
            f"{name}={shown(device)} must be the name of a device such as 'cpu' or 'cuda:0', or a JAX device, not a "
            f"{type(device).__name__}."
        )
    if kind == "mps":
        raise ValueError(f"{name}={shown(text)}: JAX does not compute on Apple's GPUs here; use device='cpu'.")
    if kind not in _PLATFORMS or (colon and not number.isdecimal()):
        raise ValueError(f"{name}={shown(text)} is no device; the names are cpu, cuda and tpu, or one of them: cuda:1.")
    here = local_devices(_PLATFORMS[kind], f"{name}={shown(text)}")
    if not colon:
        return here
    if int(number) >= len(here):
        if kind == "cpu" and int(number) == 0:
            return here
        raise ValueError(f"{name}={shown(text)}, but there are only {len(here)} here, counted from {kind}:0.")
    return [here[int(number)]]
