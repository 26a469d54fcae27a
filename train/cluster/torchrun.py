"""Processes that torchrun started, or another launcher that sets PyTorch's variables (Kubeflow's PyTorchJob, Ray).

The variables are those of torch.distributed's environment initialisation, RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT
(https://docs.pytorch.org/docs/stable/elastic/run.html, "Environment Variables").
"""

from collections.abc import Mapping

from instructor_jax.io.printable import one_line

from .member import Member, number


def found_by_torchrun(environment: Mapping[str, str]) -> Member | None:
    """Returns what torchrun's variables say; None where they are not set, or say that there is one process.

    torchrun's own store listens on MASTER_PORT of the first host where TORCHELASTIC_USE_AGENT_STORE=True; then the next
    port is taken. JAX_COORDINATOR_PORT, which JAX heeds in clusters that it finds, comes first.

    Raises:
        ValueError: Some are missing, or say nothing that can be.
    """
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return None
    count, index = number(environment, "WORLD_SIZE"), number(environment, "RANK")
    if count == 1:
        return None
    lacking = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not environment.get(name)]
    if lacking:
        raise ValueError(
            f"RANK={index} and WORLD_SIZE={count} are set, as torchrun does, but not {' and '.join(lacking)}; set "
            "them to the address of process 0, or unset all four."
        )
    if index >= count:
        raise ValueError(f"RANK={index} must be less than WORLD_SIZE={count}; both are variables of torchrun.")
    taken = environment.get("TORCHELASTIC_USE_AGENT_STORE", "") == "True"
    port = number(environment, "MASTER_PORT") + taken
    if environment.get("JAX_COORDINATOR_PORT"):
        port = number(environment, "JAX_COORDINATOR_PORT")
    if not 0 < port < 65536:
        raise ValueError(f"MASTER_PORT={port - taken} is no port below 65536 to meet at; set JAX_COORDINATOR_PORT.")
    host = one_line(environment["MASTER_ADDR"], 200)
    return Member(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", count, index, "torchrun")
