"""Where a run's figures go besides `metrics.jsonl`: TensorBoard's files, Weights & Biases where that is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..settings.sections import LogConfig
from .wandb_board import WandbBoard


@runtime_checkable
class Board(Protocol):
    """A place that draws figures over steps."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Takes figures after `step` steps, by names such as "train/loss"."""

    def close(self) -> None:
        """Writes what is left."""


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def boards(folder: Path, log: LogConfig, settings: Mapping[str, Any]) -> list[Board]:
    """Returns the boards that the settings ask for; TensorBoard's only where its package is there.

    Args:
        folder: Folder of the run.
        log: Settings of the log.
        settings: All settings of the run, by dotted key.

    Raises:
        ValueError: Weights & Biases is asked for, and its package is absent or does not start.
    """
    found: list[Board] = []
    if log.tensorboard:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            pass
        else:
            found.append(_TensorBoard(SummaryWriter(str(folder / "tensorboard"))))
    if log.wandb:
        found.append(WandbBoard(folder, settings))
    return found
