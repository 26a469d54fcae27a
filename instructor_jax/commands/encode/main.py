"""`instructor-jax encode`: files of texts to a file of vectors, in constant memory, resumable.

The input is cut into parts of a fixed number of rows, and every part is encoded by calls of its own. The last bits
of a vector depend on the texts it is packed with, and those are then the same in every run: a run that was killed and
started again writes the bytes of one that was not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from instructor_jax.commands.encode.engines.shards import shard_named
from instructor_jax.commands.encode.input_files import input_files
from instructor_jax.commands.encode.job import Job
from instructor_jax.commands.encode.options import EngineOptions, VectorOptions
from instructor_jax.commands.encode.output_files import output_claims
from instructor_jax.commands.encode.share import encode_share
from instructor_jax.commands.encode.vector_files import VectorFormat, vector_format
from instructor_jax.commands.encode.whole import encode_whole
from instructor_jax.commands.table_options import InputOptions
from instructor_jax.io.atomic import require_plain_file
from instructor_jax.io.ownership import Claim, check_claims, same_or_inside
from instructor_jax.io.remote.stored_file import Source
from instructor_jax.io.remote.stores import require_served
from instructor_jax.model_options import BATCH_SIZE, DIMENSIONS, ModelOptions, model_name, require_count


def encode(
    inputs: Annotated[list[str], Parameter(consume_multiple=True)],
    /,
    *,
    instruction: Annotated[str | None, Parameter(name=["--instruction", "-i"])] = None,
    target: EngineOptions,
    reading: InputOptions = InputOptions(),  # noqa: B008 - frozen
    model: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
    vectors: VectorOptions = VectorOptions(),  # noqa: B008 - frozen
) -> None:
    """Embed files of texts; resumable, in constant memory, on one machine or many.

    Killed at any moment and started again with the same options it goes on, and
    the result is, byte for byte, that of a run that was never interrupted.

      instructor-jax encode texts.txt -o vectors.npy \\
          --model hkunlp/instructor-base \\
          --instruction "Represent the Wikipedia sentence for retrieval: "

      instructor-jax encode articles.csv.gz -o vectors.parquet -m ./my-model \\
          --text-column body --id-column url --instruction "Represent the news: "

      zcat logs.gz | instructor-jax encode - -o vectors.jsonl -m ./my-model

      instructor-jax encode 'pages/*.parquet' -o vectors --parts --shard 3/64

      instructor-jax encode pages -o vectors --parts --engine ray --address auto

      instructor-jax encode 's3://bucket/texts/*.parquet' -o s3://bucket/vectors/

    A .txt file is one text a line; an empty line is an empty text, so that row n
    belongs to line n. Beside OUTPUT lie OUTPUT.json (how it was made), for .npy
    with ids also *.ids.txt, and until all is done the folder OUTPUT.parts. What
    is there under these names and not made by this command is never replaced
    without --overwrite, and a folder, a device or the input never at all. A
    corpus of BEIR (columns _id, title, text) is read as BEIR reads it: each title
    joined before its text by a blank; --no-title leaves the titles out. Of
    several inputs the rows follow one another, files of a folder or a pattern by
    name. With --shard a process makes its share of the parts only; when all are
    made, the same command without --shard checks and joins them.

    Args:
        inputs: .txt, .jsonl, .csv, .tsv or .parquet, the first four also with .gz; folders of such files; patterns in
            quotation marks; data sets on disk (`save_to_disk`); all of these also in a store (s3://bucket/texts); "-"
            alone reads standard input.
        instruction: Instruction for all texts, as the model was trained with: "Represent the ... for ...: ".
        target: See EngineOptions.
        reading: See InputOptions.
        model: See ModelOptions.
        vectors: See VectorOptions.
    """
    format = vector_format(target.output, as_folder=target.as_folder)
    target.check()
    shard = None if target.shard is None else shard_named(target.shard)
    if instruction is not None and reading.instruction_column is not None:
        raise ValueError("--instruction and --instruction-column exclude each other; give one of them")
    require_count("--batch-size", vectors.batch_size, BATCH_SIZE)
    require_count("--truncate-dim", vectors.truncate_dim, DIMENSIONS)
    files = input_files(inputs)
    _check_output(files, target.output, Path(model_name(model)), format)
    job = Job(tuple(files), instruction, reading, target, model, vectors)
    with job.opened() as opened:
        if shard is not None:
            encode_share(opened, shard)
            return
        if target.engine == "ray" and not job.is_made():
            from instructor_jax.commands.encode.engines.ray_engine import encode_parts  # imports the extra

            encode_parts(opened)
        encode_whole(opened)


def _check_output(inputs: Sequence[Source], output: Path | str, model: Path, format: VectorFormat) -> None:
    """Refuse an output that would cost the user a file; before anything is read or made.

    What exists and is not ours is refused by `PartStore`, once it is known that the output is not complete already.
    """
    if not isinstance(output, Path):
        _check_url(inputs, output)
        return
    if not format.as_folder:
        require_plain_file(output)
    # Which of them may be replaced is asked later: here only that none is an input.
    claims = output_claims(output, ids_beside=not format.holds_ids, as_folder=format.as_folder)
    claims = [Claim(claim.path, lambda path: True) for claim in claims]
    local = [read for read in inputs if isinstance(read, Path)]
    check_claims(claims, inputs=[*local, model], overwrite=True, option="--overwrite")
    for read in local:
        if read.is_dir() and same_or_inside(output.parent, read):
            raise ValueError(f"{output} would be written into {read}, which is read; name another output")


def _check_url(inputs: Sequence[Source], output: str) -> None:
    """Refuse an output in a store that would cost the user a file of the input."""
    require_served("output", output)
    folder = output.rstrip("/")
    for read in map(str, inputs):
        if read == folder or read.startswith((f"{folder}/", f"{folder}.parts/")):
            raise ValueError(f"{output} would be written over the input {read}; name another output.")
