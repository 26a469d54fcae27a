"""The one console command: a table from verb to "module:object"; nothing is imported until its verb is called.

Every expected failure (bad option, bad value, unreadable file, absent extra) is one line on stderr and exit code 2;
anything else is a bug and keeps its traceback. INSTRUCTOR_JAX_TRACEBACK=1 shows the traceback of expected ones too.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence

VERBS: dict[str, tuple[str, str]] = {
    "encode": ("instructor_jax.commands.encode:encode", "Embed a file of texts; resumable, in constant memory."),
    "similarity": ("instructor_jax.commands.similarity:similarity", "Compare texts under an instruction."),
    "search": ("instructor_jax.commands.search:search", "Find the nearest lines of a corpus for each query."),
    "train": ("instructor_jax.train.main:train", "Train a model on a mixture; resumable, on any number of devices."),
    "plan": ("instructor_jax.train.plan_main:plan", "Plan a training run for devices that need not be there."),
    "medi": ("instructor_jax.train.medi.main:app", "Build, import, inspect and measure the training mixture."),
    "evaluate": ("instructor_jax.evaluation.main:evaluate", "Score a model on the paper's tasks and on local data."),
    "compare-instructions": (
        "instructor_jax.evaluation.compare_instructions:compare_instructions",
        "Rank instructions on a small labelled file.",
    ),
    "convert": ("instructor_jax.convert.main:app", "Move weights between PyTorch, T5X, Flax and Orbax folders."),
    "create": (
        "instructor_jax.commands.create:create",
        "Write a model folder with random weights, for tests and training.",
    ),
    "doctor": ("instructor_jax.commands.doctor:doctor", "Report versions, devices, caches, and what is missing."),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one verb and exit: 0 on success, the verb's own code where it returns one, 2 on an expected failure,
    130 when interrupted, 141 when the reader of our output went away.
    """
    from cyclopts import CycloptsError

    # cyclopts takes a lone "-" for a nameless option; a path means the same and keeps its help with misspelt options.
    tokens = ["/dev/stdin" if token == "-" else token for token in (sys.argv[1:] if argv is None else argv)]
    verb = tokens[0] if tokens and tokens[0] not in ("--help", "-h", "--version") else None
    try:
        result = _application(verb)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        error.verbose = False  # the verbose form quotes the function's source line
        _fail(str(error), hint=f"see 'instructor-jax {verb} --help'" if verb else "see 'instructor-jax --help'")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it exits
        sys.exit(141)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("INSTRUCTOR_JAX_TRACEBACK"):
            raise
        _fail(_one_line(error))
    except KeyboardInterrupt:
        print("instructor-jax: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    if isinstance(result, int) and result:
        sys.exit(result)


def _application(verb: str | None):
    """The cyclopts application; of its verbs only `verb` is imported, the others show the summary of the table."""
    from cyclopts import App

    from instructor_jax import __version__

    if verb is not None and verb not in VERBS:
        close = difflib.get_close_matches(verb, VERBS, n=1)
        meant = f"did you mean '{close[0]}'?" if close else f"the commands are {', '.join(VERBS)}"
        raise ValueError(f"unknown command {verb!r}; {meant}")
    summary = "Text embeddings steered by instructions, in JAX."
    # plaintext keeps the line breaks of the examples in a docstring.
    app = App(
        name="instructor-jax",
        version=__version__,
        help=summary,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, (target, summary) in VERBS.items():
        if name == verb:  # without `help`, so that its docstring is shown
            module, _, attribute = target.partition(":")
            app.command(getattr(importlib.import_module(module), attribute), name=name)
        else:
            app.command(target, name=name, help=summary)
    return app


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def _fail(message: str, hint: str = "") -> None:
    line = " ".join(message.split())
    print(f"instructor-jax: error: {line}{f' ({hint})' if hint else ''}", file=sys.stderr)
    sys.exit(2)
