"""What the evaluators of sentence-transformers and MTEB ask of a model, and where they leave their results."""

import dataclasses
import os
from typing import Any

from instructor_jax.drop_in.host import Host
from instructor_jax.drop_in.mteb import mteb_model_meta


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


class Evaluated(Host):
    """A model that evaluators take."""

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

    def evaluate(self, evaluator: Any, output_path: Any = None) -> Any:
        """Returns the result of one of sentence-transformers' evaluators."""
        if output_path is not None:
            os.makedirs(output_path, exist_ok=True)
        return evaluator(self, output_path)
