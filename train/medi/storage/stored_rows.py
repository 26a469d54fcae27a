"""How one `Example` is stored: a tf.Example that tensorflow-datasets can read, written and read without TensorFlow.

The fields are those of `features()`, but rows are made and read directly with the message class that comes with
tensorflow-datasets, which is about five times faster. What a row may lack is a list of none or one.
"""

import functools
import math
from typing import Any

import numpy as np

from ...data.examples import Example, Side

_TEXT_FIELDS = ("task", "row_id", "query/instruction", "query/text", "positive/instruction", "positive/text")


def features() -> Any:
    """Returns the `tfds.features.FeaturesDict` of a stored row; `score` and `label` are lists of none or one.

    Raises:
        ImportError: The extra `train` is absent.
    """
    kinds = tensorflow_datasets().features
    side = {"instruction": kinds.Text(), "text": kinds.Text()}
    return kinds.FeaturesDict(
        {
            "task": kinds.Text(),
            "row_id": kinds.Text(),
            "query": side,
            "positive": side,
            "negatives": kinds.Sequence(side),
            "score": kinds.Sequence(np.float32),
            "label": kinds.Sequence(kinds.Text()),
            "weight": kinds.Scalar(np.float32),
        }
    )


def to_bytes(example: Example) -> bytes:
    """Returns the stored form; equal examples give equal bytes. Score and weight become float32.

    Raises:
        ValueError: A text is not valid Unicode (a lone surrogate), or the weight is zero or infinite in float32.
    """
    texts = (example.task, example.row_id, *example.query, *example.positive)
    lists = {
        "negatives/instruction": [side.instruction for side in example.negatives],
        "negatives/text": [side.text for side in example.negatives],
        "label": [] if example.label is None else [example.label],
    }
    message = _message_class()()
    fields = message.features.feature
    try:
        for name, text in zip(_TEXT_FIELDS, texts, strict=True):
            fields[name].bytes_list.value.append(text.encode())
        for name, values in lists.items():
            fields[name].bytes_list.value.extend(value.encode() for value in values)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"row {example.row_id!r} of task {example.task!r} holds text that is not valid Unicode ({error.reason}); "
            "repair the source, e.g. by decoding it with errors='replace'."
        ) from error
    weight = float(np.float32(example.weight))
    if not 0.0 < weight < math.inf:
        raise ValueError(
            f"weight={example.weight} of row {example.row_id!r} of task {example.task!r} is {weight} in float32; "
            "weights must stay positive and finite."
        )
    fields["weight"].float_list.value.append(weight)
    fields["score"].float_list.value.extend([] if example.score is None else [example.score])
    return message.SerializeToString(deterministic=True)


def from_bytes(stored: bytes) -> Example:
    """Returns the example of a stored form."""
    fields = _message_class().FromString(stored).features.feature

    def texts(name: str) -> list[str]:
        return [value.decode() for value in fields[name].bytes_list.value]

    task, row_id, query_instruction, query, positive_instruction, positive = (texts(name)[0] for name in _TEXT_FIELDS)
    score, label = fields["score"].float_list.value, texts("label")
    return Example(
        Side(query_instruction, query),
        Side(positive_instruction, positive),
        tuple(map(Side, texts("negatives/instruction"), texts("negatives/text"))),
        task,
        row_id,
        score=score[0] if score else None,
        label=label[0] if label else None,
        weight=fields["weight"].float_list.value[0],
    )


def tensorflow_datasets() -> Any:
    """Returns the module `tensorflow_datasets`, or raises an ImportError that names the extra."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            f"The mixture is stored with tensorflow-datasets: pip install 'instructor-jax[train]' ({error})."
        ) from error
    return tensorflow_datasets


@functools.cache
def _message_class() -> Any:
    tensorflow_datasets()
    from tensorflow_datasets.proto import tf_example_pb2

    return tf_example_pb2.Example  # pyright: ignore[reportAttributeAccessIssue] # made when the module is loaded
