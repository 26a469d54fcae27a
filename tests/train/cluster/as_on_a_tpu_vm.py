"""`python as_on_a_tpu_vm.py -m MODULE ...` runs a module as on a TPU VM; without chips JAX asks no server."""

import os
import runpy
import sys

import jax  # noqa: F401 - where it finds no chips it sets the variable

if __name__ == "__main__":
    os.environ.pop("TPU_SKIP_MDS_QUERY", None)
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
