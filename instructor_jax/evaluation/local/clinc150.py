"""CLINC150: requests to an assistant by 150 intents, as labelled texts and as sets to cluster."""

from pathlib import Path

from instructor_jax.evaluation.local.files import json_value, locate, member
from instructor_jax.evaluation.local.records import ClusterSets, LabelledTexts, TrainTest
from instructor_jax.evaluation.local.splits import sets_of_classes


def read_clinc150(folder: Path) -> TrainTest:
    """Reads requests to an assistant by 150 intents; the requests out of scope belong to none and are left out."""
    path = locate(folder, "data_full.json")
    content = json_value(path, dict)
    return TrainTest(*(_clinc_part(member(content, part, list, str(path)), path, part) for part in ("train", "test")))


def read_clinc150_clusters(folder: Path) -> ClusterSets:
    """Reads the 4,500 test requests of the 150 intents, in five sets of 30 intents."""
    return sets_of_classes(read_clinc150(folder).test, 5)


def _clinc_part(records: list[object], path: Path, part: str) -> LabelledTexts:
    texts, labels = [], []
    for number, record in enumerate(records):
        match record:
            case [str(text), str(intent)]:
                texts.append(text)
                labels.append(intent)
            case _:
                raise ValueError(f"{path}, {part}[{number}]: must be [text, intent]; got {record!s:.80}.")
    return LabelledTexts(texts, labels)
