"""Which share of the parts a process makes: `--shard 3/64`, or what the scheduler that started it says."""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from instructor_jax.io.printable import shown

_GIVEN = re.compile(r"([0-9]{1,9})/([0-9]{1,9})", re.ASCII)
# Variables that hold the number of a process from 0, and how many there are.
_NUMBERED = (
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"),  # Cloud Run jobs
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),  # indexed jobs of Kubernetes; the second one is set in the manifest
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # mpirun; JAX numbers its processes by it, too
)


class Shard(NamedTuple):
    """Number `index` of `count` processes, from 0."""

    index: int
    count: int

    def share(self, parts: int) -> range:
        """The parts of this process: parts that follow one another, as many as the others' but for one."""
        return range(self.index * parts // self.count, (self.index + 1) * parts // self.count)


def shard_named(name: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """The shard that `--shard` means: "3/64" is number 3 of 64, counted from 0; "auto" asks the environment.

    "auto" knows arrays and tasks of Slurm, indexed jobs of Kubernetes, Cloud Run, mpirun and TPU slices.

    Raises:
        ValueError: it is neither, there is no such shard, or the environment does not say.
    """
    if name == "auto":
        return _of_environment(environment)
    match = _GIVEN.fullmatch(name)
    if match is None:
        raise ValueError(f"--shard {shown(name)} must be INDEX/COUNT such as 3/64, counted from 0, or auto")
    return _checked(int(match[1]), int(match[2]), f"--shard {name}")


def _of_environment(environment: Mapping[str, str]) -> Shard:
    if "SLURM_ARRAY_TASK_ID" in environment or int(environment.get("SLURM_NTASKS", "1") or 1) > 1:
        return _of_slurm(environment)
    for index, count in _NUMBERED:
        if index in environment:
            if count not in environment:
                raise ValueError(
                    f"--shard auto: {index} is set, but {count} is not; set it to the number of processes, "
                    "or give --shard INDEX/COUNT"
                )
            return _checked(_number(environment, index), _number(environment, count), f"{index} and {count}")
    if "TPU_WORKER_ID" in environment and "TPU_WORKER_HOSTNAMES" in environment:
        hosts = environment["TPU_WORKER_HOSTNAMES"].split(",")
        return _checked(_number(environment, "TPU_WORKER_ID"), len(hosts), "TPU_WORKER_ID and TPU_WORKER_HOSTNAMES")
    raise ValueError(
        "--shard auto: no variable of Slurm, Kubernetes, Cloud Run, mpirun or a TPU slice says which process this is; "
        "give --shard INDEX/COUNT"
    )


def _of_slurm(environment: Mapping[str, str]) -> Shard:
    """A task of an array, a process of a step, or both: then the steps' processes share each array task's parts."""
    index, count = 0, 1
    if "SLURM_ARRAY_TASK_ID" in environment:
        names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT")]
        task, least, most, count = (_number(environment, name) for name in names)
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1") or 1)
        index, left = divmod(task - least, max(step, 1))
        if left or most != least + (count - 1) * step:
            raise ValueError(
                f"--shard auto: the array's numbers ({least} to {most}, {count} of them) are not evenly spaced, as a "
                "part of an array that is run again; give --shard INDEX/COUNT"
            )
    if int(environment.get("SLURM_NTASKS", "1") or 1) > 1 and "SLURM_PROCID" in environment:
        tasks = _number(environment, "SLURM_NTASKS")
        index, count = index * tasks + _number(environment, "SLURM_PROCID"), count * tasks
    return _checked(index, count, "the variables of Slurm")


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise ValueError(f"--shard auto: {name}={shown(text)} must be a whole number; give --shard INDEX/COUNT")
    return int(text)


def _checked(index: int, count: int, where: str) -> Shard:
    if not 0 <= index < count:
        raise ValueError(f"{where}: there is no shard {index} of {count}; they are 0 to {max(count - 1, 0)}")
    return Shard(index, count)
