"""`instructor-jax leaderboard`: a model's record for MTEB, and its results for the leaderboard and in its card."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from instructor_jax.io.printable import one_line, printable

app: App = App(
    name="leaderboard",
    help="""Prepare a model and its results for MTEB's leaderboard.

For example:

  instructor-jax evaluate ./my-model --benchmark mteb -o results
  instructor-jax leaderboard meta ./my-model --name my-org/my-model
  instructor-jax leaderboard results ./my-model -e results \\
      --name my-org/my-model
  instructor-jax leaderboard card ./my-model -e results --name my-org/my-model
""",
    help_format="plaintext",
    version_flags=[],
)


@app.command
def meta(model: str, /, *, name: str | None = None, revision: str | None = None) -> None:
    """Print MTEB's record of a model, filled from its folder and its card.

    The Python text is what a pull request to mteb adds for a model; the last
    line names what neither folder nor card says and a person has to fill in.

      instructor-jax leaderboard meta hkunlp/instructor-large

      instructor-jax leaderboard meta ./my-model --name my-org/my-model \\
          --revision 0123abc

    Args:
        model: Model folder, a name on the hub, or default.
        name: Name for MTEB, ORGANISATION/MODEL; by default the hub's, or local/FOLDER.
        revision: Commit on the hub; of a folder, what results are filed under.
    """
    from instructor_jax.evaluation.mteb.registered import instructor_meta, unknown_fields

    record = instructor_meta(model, name=name, revision=revision)
    print(printable(record.to_python()))
    unknown = unknown_fields(record)
    if unknown:
        print(f"# to be filled in: {', '.join(unknown)}")


@app.command
def results(
    model: str,
    /,
    *,
    evaluation: Annotated[Path, Parameter(name=["--evaluation", "-e"])] = Path("evaluation"),
    to: Path = Path("leaderboard"),
    name: str | None = None,
    revision: str | None = None,
) -> None:
    """Copy a model's results into the form that MTEB's leaderboard takes.

    Results of the default protocol on all examples are copied, to
    TO/results/ORGANISATION__MODEL/REVISION/TASK.json with model_meta.json
    beside them; runs under other settings are no results of the tasks.

      instructor-jax leaderboard results ./my-model -e results \\
          --to leaderboard --name my-org/my-model --revision 0123abc

    Args:
        model: The model that was evaluated, as it was named then.
        evaluation: Output folder of evaluate.
        to: Folder of the copies, such as a checkout of MTEB's repository of results.
        name: Name for MTEB, ORGANISATION/MODEL; by default the hub's, or local/FOLDER.
        revision: Commit on the hub; of a folder, a hash of its files by default.
    """
    from instructor_jax.evaluation.mteb.exported import export_results
    from instructor_jax.evaluation.mteb.registered import instructor_meta

    record = instructor_meta(model, name=name, revision=revision)
    written = export_results(model, evaluation, to, record)
    for path in written:
        print(one_line(str(path), 400))
    print(f"{len(written)} results of {record.name}, revision {record.revision}")


@app.command
def card(
    model: Path,
    /,
    *,
    evaluation: Annotated[Path, Parameter(name=["--evaluation", "-e"])] = Path("evaluation"),
    name: str | None = None,
) -> None:
    """Write a model's results into its card, in the form that the Hugging Face hub shows.

    Results of the default protocol on all examples go into the head of the
    README.md of the model's folder, which gets one where it has none; its text
    stays as it is, and so do results of other tasks. push takes it from there.

      instructor-jax evaluate ./my-model --benchmark mteb -o results
      instructor-jax leaderboard card ./my-model -e results --name my-org/my-model
      instructor-jax push ./my-model my-org/my-model

    Args:
        model: Model folder that was evaluated.
        evaluation: Output folder of evaluate.
        name: Name on the hub, ORGANISATION/MODEL; by default that of the folder.
    """
    from instructor_jax.evaluation.mteb.card_results import write_results_into_card

    written = write_results_into_card(model, evaluation, name)
    print(printable(f"{model / 'README.md'}: {written} results"))
