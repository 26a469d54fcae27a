"""Which files are plans that were written before, so that a newer one may replace them."""

from pathlib import Path

from instructor_jax.io.json_files import read_json_value
from instructor_jax.io.ownership import Claim, check_claims, require_new_or_replaceable

TABLE, PLOT = "sweep.md", "sweep.png"
MARK = "instructor-jax plan --sweep"  # stands in the plot's metadata
_TABLE_BEGINS = b"| topology | data x fsdp x tensor |"
_LOOKED_AT = 4096  # bytes


def refuse_other_files(json: Path | None, folder: Path | None, inputs: list[Path]) -> None:
    """Refuses to replace files that are no plans of ours, or an input; before any work.

    Args:
        json: File that gets the plan for programs.
        folder: Folder that gets table and plot of a sweep.
        inputs: Files that are read.

    Raises:
        ValueError: There is such a file.
        OSError: The JSON file could not be written in the end.
    """
    if json is not None:
        require_new_or_replaceable(json, _is_plan, inputs=inputs)
    if folder is not None:
        check_claims([Claim(folder / TABLE, _is_table), Claim(folder / PLOT, _is_plot)], inputs=inputs)


def _is_plan(path: Path) -> bool:
    try:
        value = read_json_value(path)
    except (ValueError, OSError):
        return False
    plans = value if isinstance(value, list) else [value]
    return bool(plans) and all(isinstance(plan, dict) and {"what", "topology", "mesh"} <= set(plan) for plan in plans)


def _is_table(path: Path) -> bool:
    return _beginning(path).startswith(_TABLE_BEGINS)


def _is_plot(path: Path) -> bool:
    return MARK.encode("ascii") in _beginning(path)


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LOOKED_AT)
    except OSError:
        return b""
