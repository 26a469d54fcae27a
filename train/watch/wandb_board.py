"""A run's figures at Weights & Biases, where `log.wandb=true` asks for it; without, its package is not even imported.

The run has an id of its own there, kept in the run's folder, so that what goes on here goes on there. Figures are drawn
over a step of their own: steps after the last checkpoint, which are made again, come twice and are the same. Where
the figures go and as whom is the package's own affair (`wandb login`, `WANDB_MODE=offline`, `WANDB_PROJECT`).
"""

import logging
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.printable import one_line, shown
from instructor_jax.requirements import installed_version

logger: logging.Logger = logging.getLogger(__name__)

RUN_ID = "wandb_run_id"  # file in the folder of the run
PROJECT = "instructor-jax"  # unless WANDB_PROJECT names another
_ID = re.compile(r"[0-9a-z]{8,32}", re.ASCII)


class WandbBoard:
    """A run at Weights & Biases."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Starts the run there, or goes on with it.

        Args:
            folder: Folder of the run; the package keeps its files in `wandb` there.
            settings: All settings of the run, by dotted key; they are sent.

        Raises:
            ValueError: The package is absent or does not start, or the file of the id was changed.
        """
        require_wandb()
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        run_id = _run_id(folder / RUN_ID)
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT") or PROJECT,
                name=os.environ.get("WANDB_NAME") or folder.name,
                id=run_id,
                resume="allow",
                reinit="create_new",  # a run of the caller's own is left alone
                dir=str(folder),
                # neither what is printed nor any code
                settings=wandb.Settings(console="off", disable_code=True, disable_git=True, save_code=False),
            )
            self._run.config.update(dict(settings), allow_val_change=True)
            for name in ("train/*", "held_out/*", "evaluation/*"):
                self._run.define_metric(name, step_metric="step")
        except Exception as error:  # its own kinds, pydantic's and the network's
            reason = one_line(f"{type(error).__name__}: {error}", 300)
            raise ValueError(
                f"log.wandb=true: Weights & Biases does not start ({reason}). Log in with 'wandb login', set "
                "WANDB_MODE=offline to keep the figures on this machine, or set log.wandb=false."
            ) from error
        self._told = False

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Takes figures after `step` steps; what cannot be taken is told once and does not stop the run."""
        try:
            self._run.log({"step": step, **values})
        except Exception as error:
            if not self._told:
                logger.warning("Weights & Biases takes no figures any more: %s", one_line(str(error), 300))
            self._told = True

    def close(self) -> None:
        """Waits until everything is there, or on disk where the package is offline."""
        try:
            self._run.finish(exit_code=1 if sys.exc_info()[0] else 0)
        except Exception as error:
            logger.warning("Weights & Biases did not end as it should: %s", one_line(str(error), 300))


def require_wandb() -> None:
    """Checks that the package is there, before a run does anything.

    Raises:
        ValueError: It is absent.
    """
    if installed_version("wandb") is None:
        raise ValueError("log.wandb=true needs wandb: pip install 'instructor-jax[wandb]'")


def _run_id(path: Path) -> str:
    """Returns the id in the file, which is made where it is absent."""
    if not os.path.lexists(path):
        made = secrets.token_hex(8)
        with whole_file(path) as draft:
            draft.write_text(f"{made}\n", encoding="ascii")
        return made
    with path.open("rb") as file:
        found = file.read(64).decode("ascii", "replace").strip()
    if not _ID.fullmatch(found):
        raise ValueError(
            f"{path} must hold the id of a run at Weights & Biases, 8 to 32 letters or digits, and holds "
            f"{shown(found)}; delete it for a new one."
        )
    return found
