"""Results as torch tensors, for callers that ask for them or passed some; torch is imported nowhere else here."""

import importlib.util
from typing import Any

import numpy as np


def torch_is_installed() -> bool:
    """Whether torch could be imported; does not import it."""
    try:
        return importlib.util.find_spec("torch") is not None
    except ValueError:  # a stand-in in sys.modules
        return False


def as_tensor(array: np.ndarray, device: Any = None) -> Any:
    """The array as a tensor that shares its memory, or as a copy on a device.

    Raises:
        ImportError: torch is absent; the message names the extra.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("convert_to_tensor=True needs torch: pip install 'instructor-jax[torch]'") from error
    tensor = torch.from_numpy(array)
    return tensor if device is None else tensor.to(device)
