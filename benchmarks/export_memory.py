"""Peak memory of an export from a checkpoint that eight devices saved, in a fresh process, against the weights' size.

    python benchmarks/export_memory.py                 # t5-base's encoder, about 110 M weights
    python benchmarks/export_memory.py --model t5-large --dtype bfloat16
    python benchmarks/export_memory.py --model gtr-t5-xl --optimizer adafactor    # 1.2 billion weights in 12 GB

The checkpoint holds the weights and the optimizer's state (two moments of AdamW), as a run's does. The process that
exports is measured by the highest resident memory that the system saw of it, less what it takes before the checkpoint
is opened.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_SAVE = """
import dataclasses, sys
import jax, numpy as np
from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.io.folder_writer import write_without_weights
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.run.checkpoints import Checkpoints
from instructor_jax.train.run.train_config import check_settings
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import BatchConfig, CheckpointConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.step import abstract_state, state_shardings
from pathlib import Path
run, tokenizer = Path(sys.argv[1]), Path(sys.argv[3])
model = PUBLISHED[sys.argv[2]]
mesh = make_mesh(MeshShape(data=2, fsdp=4))
settings = RunConfig(batch=BatchConfig(groups=8, length=512), optimizer=OptimizerConfig(name=sys.argv[4]))
config = check_settings(settings, dataclasses.replace(model, max_length=512), ("all",), mesh)
write_without_weights(run / "model_settings", ModelFolder(tokenizer, config.model))
def drawn(x, sharding):
    def part(index):
        shape = tuple(len(range(*i.indices(n))) for i, n in zip(index, x.shape))
        values = np.random.default_rng(len(shape)).standard_normal(shape, np.float32)
        return values.astype(x.dtype)
    return jax.make_array_from_callback(x.shape, sharding, part)
state = jax.tree.map(drawn, abstract_state(config), state_shardings(config, mesh))
state = dataclasses.replace(state, step=jax.numpy.int32(7))
checkpoints = Checkpoints(run / "checkpoints", CheckpointConfig())
checkpoints.save(state, {"run": {"export": "float32"}})
checkpoints.wait()
checkpoints.close()
"""
_EXPORT = """
import resource, sys
import jax, orbax.checkpoint, cyclopts
import instructor_jax.train.export.main
from instructor_jax.cli import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
main(["export", sys.argv[1], sys.argv[2], "--dtype", sys.argv[3]])
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def run(program: str, *arguments: str, devices: int = 1) -> str:
    """Runs a program in a process of its own; returns what it printed."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Saves a checkpoint, exports it, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="t5-base", help="a published encoder")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--optimizer", default="adamw", choices=("adamw", "adafactor"), help="whose state lies beside")
    options = parser.parse_args()
    from instructor_jax.commands.create import write_tiny_tokenizer

    with tempfile.TemporaryDirectory() as folder:
        place, target = Path(folder) / "run", Path(folder) / "model"
        write_tiny_tokenizer(Path(folder))
        run(_SAVE, str(place), options.model, folder, options.optimizer, devices=8)
        printed = run(_EXPORT, str(place), str(target), options.dtype).splitlines()
        before, peak = (int(text) * 1024 for text in printed[-1].split())
        size = sum(path.stat().st_size for path in target.rglob("*.safetensors"))
        state = sum(path.stat().st_size for path in (place / "checkpoints").rglob("*") if path.is_file())
    print(printed[0])
    print(f"weights written {size / 1e6:,.0f} MB, checkpoint {state / 1e6:,.0f} MB")
    print(
        f"resident before {before / 1e6:,.0f} MB, at most {peak / 1e6:,.0f} MB: {(peak - before) / size:.2f} x weights"
    )


if __name__ == "__main__":
    main()
