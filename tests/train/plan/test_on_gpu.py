"""Programs compiled for NVIDIA GPUs that nobody has here: the report of TPUs; attention that stays on the chip."""

import importlib.util

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax_cuda13_plugin") is None,
        reason="needs NVIDIA's compiler: pip install 'instructor-jax[cuda-plan]'",
    ),
]
