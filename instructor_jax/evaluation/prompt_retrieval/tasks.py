"""The eleven Prompt Retrieval tasks, in the paper's order."""

from instructor_jax.evaluation.prompt_retrieval.choices import CHOICES
from instructor_jax.evaluation.prompt_retrieval.task import PromptTask
from instructor_jax.evaluation.prompt_retrieval.written import WRITTEN

TASKS: tuple[PromptTask, ...] = (*CHOICES, *WRITTEN)
