"""`InstructorEncoder`: a callable class for `map_batches` of Ray Data, and the same for `mapInArrow` of Spark.

It is given a model's name and loads the model where it runs, at its first batch. It imports neither Ray nor Spark: both
call it with Arrow tables or dictionaries of arrays.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.model_options import Precision


class InstructorEncoder:
    """Adds a column of vectors to batches with a column of texts.

    With Ray, one object lives in each actor of the pool::

        dataset.map_batches(
            InstructorEncoder,
            fn_constructor_kwargs={"model": "hkunlp/instructor-base", "instruction": "Represent the news: "},
            compute=ray.data.ActorPoolStrategy(size=8),
            batch_format="pyarrow",
            batch_size=4096,
            num_gpus=1,
        )

    With Spark, `frame.mapInArrow(encoder.map_in_arrow, schema)`, where the schema has the input's columns and
    `embedding array<float>`.

    Args:
        model: name on the hub, or a folder that every machine sees.
        instruction: for all texts.
        text_column: of the texts.
        output_column: of the vectors.
        precision: type of the vectors' numbers.
        truncate_dim: keep only so many leading dimensions, normalised again.
        load: further arguments of `Instructor.from_pretrained`, such as dtype, max_length or revision.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        instruction: str = "",
        *,
        text_column: str = "text",
        output_column: str = "embedding",
        precision: Precision = "float32",
        truncate_dim: int | None = None,
        **load: Any,
    ) -> None:
        self._model, self._instruction, self._load = model, instruction, load
        self._text, self._output = text_column, output_column
        self._options = {"precision": precision, "truncate_dim": truncate_dim}
        self._embedder: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the loaded model, which the receiver loads by its name."""
        return self.__dict__ | {"_embedder": None}

    def __call__(self, batch: Any) -> Any:
        """A batch with the column of vectors: a list of fixed size in an Arrow table, [rows, dim] in a dictionary.

        Raises:
            ValueError: there is no such column, or a value of it is no text.
        """
        if isinstance(batch, dict):
            return {**batch, self._output: self._vectors(batch)}
        import pyarrow

        if not isinstance(batch, pyarrow.Table | pyarrow.RecordBatch):
            raise ValueError(
                f"a batch is a {type(batch).__name__}; it must be an Arrow table or a dictionary of arrays: give "
                "batch_format='pyarrow' or 'numpy'"
            )
        if self._text not in batch.schema.names:
            raise ValueError(f"the batch has no column {self._text!r}; its columns: {', '.join(batch.schema.names)}")
        vectors = self._vectors({self._text: batch.column(self._text).to_pylist()})
        flat = pyarrow.array(np.ascontiguousarray(vectors).reshape(-1))
        column = pyarrow.FixedSizeListArray.from_arrays(flat, max(vectors.shape[1], 1))
        return batch.append_column(self._output, column)

    def map_in_arrow(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yields Arrow batches with the column of vectors as plain lists, which Spark reads; for `mapInArrow`."""
        import pyarrow

        for batch in batches:
            made = self(batch)
            number = made.schema.get_field_index(self._output)
            column = made.column(number)
            values = column.cast(pyarrow.list_(column.type.value_type))
            arrays = [*made.columns[:number], values, *made.columns[number + 1 :]]
            yield pyarrow.RecordBatch.from_arrays(arrays, names=made.schema.names)

    def _vectors(self, columns: dict[str, Any]) -> Shaped[np.ndarray, "rows dim"]:
        if self._text not in columns:
            raise ValueError(f"the batch has no column {self._text!r}; its columns: {', '.join(map(str, columns))}")
        texts = [_text(value, self._text) for value in columns[self._text]]
        if self._embedder is None:
            from instructor_jax.embedder import Instructor  # imports JAX

            self._embedder = Instructor.from_pretrained(self._model, **self._load)
        return np.asarray(
            self._embedder.encode(texts, instruction=self._instruction, show_progress_bar=False, **self._options)
        )


def _text(value: Any, column: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"column {column!r} must hold text, got {str(value)[:60]!r} of type {type(value).__name__}")
    return str(value)
