"""Models as MTEB knows its own: a `ModelMeta`, and a loader whose model reads every task under its instruction.

meta = instructor_meta("hkunlp/instructor-large")
mteb.evaluate(meta, tasks)              # or meta.load_model()
register(meta); mteb.get_model("hkunlp/instructor-large")
"""

import re
from pathlib import Path
from typing import Any, get_args

from instructor_jax.arguments import model_name
from instructor_jax.config import parameter_count
from instructor_jax.evaluation.embedders import JaxEmbedder, folder_hash, jax_model_name
from instructor_jax.evaluation.mteb.described import described
from instructor_jax.evaluation.mteb.encoder import MtebEncoder
from instructor_jax.evaluation.mteb.model_card import fetch_model_card, read_model_card
from instructor_jax.evaluation.protocol import corrected
from instructor_jax.evaluation.task_instructions import Side, default_table
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.folders import read_folder
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.printable import shown

_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_REVISION = re.compile(r"[\w.-]{1,96}")


class InstructorForMteb(MtebEncoder):
    """What `load_instructor` returns: it takes any task on texts, also one that the table does not name."""

    def instruction(self, task_metadata: Any, side: Side) -> str:
        """Returns the instruction of one side of a task: the table's, or the one that its metadata make.

        Raises:
            ValueError: it is no task on texts.
        """
        return getattr(described(task_metadata, self._table).instructions, side)


def load_instructor(
    name: str, revision: str | None = None, device: str | None = None, *, path: str | None = None, **options: Any
) -> InstructorForMteb:
    """Loads a model for MTEB; the loader of `instructor_meta`.

    Args:
        name: what MTEB calls the model, "organisation/model"; the hub's name for it, unless `path` is given.
        revision: the hub's, or what the results of a local folder are filed under.
        device: where to compute, such as "cpu" or "cuda"; all of JAX's devices if None.
        path: the model's folder, or "default" for the packaged model.
        options: dtype, max_length and the like of `Instructor.from_pretrained`; batch_size of `encode`.

    Raises:
        ValueError: no such model, or an option that cannot be obeyed.
        OSError: the hub does not know it or cannot be reached.
    """
    from instructor_jax.embedder import Instructor

    batch_size = options.pop("batch_size", None)
    where = path if path is not None else name
    of_hub = revision if path is None else None
    model = Instructor.from_pretrained(where, revision=of_hub, devices=device, **options)
    embedder = JaxEmbedder(model, name, revision or folder_hash(model.folder.whole), batch_size)
    return InstructorForMteb(embedder, default_table(), corrected())


def instructor_meta(model: Any = DEFAULT_MODEL, *, name: str | None = None, revision: str | None = None) -> Any:
    """Makes MTEB's record of a model from its folder and its card; no weights are read.

    Args:
        model: a folder, a name on the hub, or "default".
        name: what MTEB is to call it, "organisation/model"; by default the hub's name, or "local/FOLDER".
        revision: commit on the hub; of a folder what its results are filed under, by default a hash of its files.

    Returns:
        `mteb.ModelMeta`, with None for what neither folder nor card says.

    Raises:
        ValueError: no such model, a broken card, or an impossible name or revision.
        OSError: the hub does not know it or cannot be reached.
    """
    from mteb.models.model_meta import ModelMeta, ScoringFunction
    from mteb.types import Licenses

    text = model_name("model", model)
    local = text == DEFAULT_MODEL or Path(text).is_dir()
    read = read_folder(resolve_model(text, revision=None if local else revision))
    folder, config = read.whole, read.config
    called = jax_model_name(text) if name is None else name
    filed = revision or (folder_hash(folder) if local else folder.name)  # the hub's cache names snapshots by commit
    for argument, value, rule in (("name", called, _NAME), ("revision", filed, _REVISION)):
        if not rule.fullmatch(value):
            raise ValueError(
                f"{argument}={shown(value)} must be {'organisation/model' if rule is _NAME else 'a commit or a word'}, "
                "of letters, digits, dots, dashes and underscores."
            )
    card = read_model_card(folder) if local else fetch_model_card(text, revision)
    of_hub = not called.startswith(("local/", "instructor-jax/"))
    parameters = parameter_count(config)
    return ModelMeta(
        loader=load_instructor,
        loader_kwargs={"path": text if text == DEFAULT_MODEL else str(folder)} if local else {},
        name=called,
        revision=filed,
        release_date=None,
        languages=None if card.languages is None else list(card.languages),
        n_parameters=parameters,
        n_embedding_parameters=config.encoder.vocab * config.encoder.embed,
        memory_usage_mb=round(4 * parameters / 2**20),  # float32
        max_tokens=config.max_length,
        embed_dim=config.embedding_dim,
        license=card.license if card.license in get_args(Licenses) else None,  # pyright: ignore[reportArgumentType]
        open_weights=True if of_hub else None,
        public_training_code=None,
        public_training_data=None,
        framework=["JAX"],
        reference=f"https://huggingface.co/{called}" if of_hub else None,
        similarity_fn_name=ScoringFunction(read.similarity_fn_name or "cosine"),
        use_instructions=True,
        training_datasets=None,
        adapted_from=card.base_model,
        citation=card.citation,
    )


def register(meta: Any) -> None:
    """Makes a model known to `mteb.get_model` and `mteb.get_model_meta` by its name, in this process.

    Args:
        meta: what `instructor_meta` returned.
    """
    from mteb.models.model_implementations import MODEL_REGISTRY

    MODEL_REGISTRY[meta.name] = meta


def unknown_fields(meta: Any) -> list[str]:
    """Returns the fields of a record that a reader of the leaderboard looks for and that are None."""
    names = (
        "release_date",
        "languages",
        "license",
        "open_weights",
        "public_training_code",
        "public_training_data",
        "training_datasets",
        "adapted_from",
        "citation",
    )
    return [name for name in names if getattr(meta, name) is None]
