"""What sentence-transformers' class offers beside `encode`, so that old code and its evaluators take an `Instructor`.

Each name does what its counterpart does, or, where there is no such thing here, answers in one sentence that says what
to do instead (`answers.py`).
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

from instructor_jax.arguments import flag, optional_path
from instructor_jax.drop_in.answers import Answers
from instructor_jax.drop_in.model_settings import ModelSettings
from instructor_jax.drop_in.mteb import mteb_model_meta
from instructor_jax.drop_in.torch_module import TorchModule
from instructor_jax.io.folder_writer import write_sentence_transformers


@dataclasses.dataclass
class ModelCardData:
    """Where sentence-transformers' evaluators leave their results.

    Attributes:
        evaluations: One entry per evaluation: its evaluator's class, its metrics, epoch and step.
    """

    evaluations: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def set_evaluation_metrics(self, evaluator: Any, metrics: dict[str, Any], epoch: int = 0, step: int = 0) -> None:
        """Keeps the metrics of one evaluation."""
        name = getattr(evaluator, "name", "")
        kind = type(evaluator).__name__
        self.evaluations.append({"evaluator": kind, "name": name, "metrics": metrics, "epoch": epoch, "step": step})


class DropIn(ModelSettings, TorchModule, Answers):
    """The part of an embedder that follows sentence-transformers; `Instructor` brings the rest."""

    _model_card_data: Any = None

    @property
    def model_card_data(self) -> Any:
        """The place where evaluators leave their results; may be set."""
        if self._model_card_data is None:
            self._model_card_data = ModelCardData()
        return self._model_card_data

    @model_card_data.setter
    def model_card_data(self, value: Any) -> None:
        """Replaces the place of the results."""
        self._model_card_data = value

    @property
    def mteb_model_meta(self) -> Any:
        """MTEB's record of the model, once MTEB is imported."""
        return mteb_model_meta(self)

    def save_pretrained(
        self,
        path: Any,
        model_name: Any = None,
        create_model_card: Any = True,
        train_datasets: Any = None,
        safe_serialization: Any = True,
    ) -> None:
        """Writes a folder that sentence-transformers opens with the right pooling, weights in the model's dtype.

        Args:
            path: the new folder.
            model_name: sentence-transformers' option for its model card; there is none here, and nothing changes.
            create_model_card: likewise.
            train_datasets: likewise.
            safe_serialization: False, for a file of PyTorch, is refused.

        Raises:
            ValueError: the folder exists and is not empty.
        """
        if not flag("safe_serialization", safe_serialization):
            raise ValueError(
                "safe_serialization=False: weights are written as safetensors only, which torch reads too."
            )
        target = optional_path("path", path)
        if target is None:
            raise ValueError("path=None: give the folder that is to be written.")
        write_sentence_transformers(Path(target), self.folder, self._ready().kept_params())

    def save(self, path: Any, *args: Any, **options: Any) -> None:
        """Writes a folder, under the older name of `save_pretrained`."""
        self.save_pretrained(path, *args, **options)

    def evaluate(self, evaluator: Any, output_path: Any = None) -> Any:
        """Returns the result of one of sentence-transformers' evaluators."""
        if output_path is not None:
            os.makedirs(output_path, exist_ok=True)
        return evaluator(self, output_path)
