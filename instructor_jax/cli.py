"""The one console command: a table from verb to "module:object"; nothing is imported until its verb is called.

No failure ends in a traceback: every expected one (bad option, bad value, unreadable file, absent extra) is one line on
standard error and exit code 2; anything else is told as a bug, in one line and with exit code 70.
INSTRUCTOR_JAX_TRACEBACK=1 shows the traceback of both.
"""

import dataclasses
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from instructor_jax.commands.failures import told
from instructor_jax.commands.streams import clean, clean_messages, complain, discard, flush_output, prepare_streams

VERBS: dict[str, tuple[str, str]] = {
    "encode": ("instructor_jax.commands.encode.main:encode", "Embed a file of texts; resumable, in constant memory."),
    "similarity": ("instructor_jax.commands.similarity:similarity", "Compare texts under an instruction."),
    "search": ("instructor_jax.commands.search:search", "Find the nearest lines of a corpus for each query."),
    "serve": ("instructor_jax.server.main:serve", "Serve embeddings to OpenAI's, TEI's and Cohere's clients."),
    "train": ("instructor_jax.train.main:train", "Train a model on a mixture; resumable, on any number of devices."),
    "export": ("instructor_jax.train.export.main:export", "Write the model of a run's checkpoint, on any machine."),
    "plan": ("instructor_jax.train.plan.main:plan", "Plan a training run for devices that need not be there."),
    "medi": ("instructor_jax.train.medi.main:app", "Build, import, inspect and measure the training mixture."),
    "evaluate": ("instructor_jax.evaluation.main:evaluate", "Score a model on the paper's tasks and on local data."),
    "compare-instructions": (
        "instructor_jax.evaluation.studies.compare_instructions:compare_instructions",
        "Rank instructions on a small labelled file.",
    ),
    "leaderboard": (
        "instructor_jax.evaluation.leaderboard:app",
        "Prepare a model and its results for MTEB's leaderboard.",
    ),
    "convert": ("instructor_jax.convert.main:app", "Move weights between PyTorch, T5X, Flax and Orbax folders."),
    "create": (
        "instructor_jax.commands.create:create",
        "Write a model folder with random weights, for tests and training.",
    ),
    "push": ("instructor_jax.commands.push:push", "Upload a model folder to the Hugging Face hub."),
    "doctor": ("instructor_jax.commands.doctor:doctor", "Report versions, devices, caches, and what is missing."),
}


_EXAMPLE = (
    "'instructor-jax VERB --help' explains a verb, with examples. A first one:\n\n"
    '  instructor-jax similarity "A cat sleeps" "A kitten" "Stocks fell on Monday"'
)
_EXIT_CODES = (
    "Exit codes: 0 done; 1 doctor found something broken; 2 a mistake in options, files or environment, told in one "
    "line; 70 a bug; 75 train was stopped and is saved, the same command goes on; 130 interrupted; 141 the reader of "
    "the output went away."
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one verb and exit: 0 on success, the verb's own code where it returns one, otherwise see `_EXIT_CODES`."""
    prepare_streams()
    try:
        with clean_messages():
            result = _run(sys.argv[1:] if argv is None else argv)
            flush_output()
    except KeyboardInterrupt:
        complain("instructor-jax: interrupted; run the same command again to go on")
        _exit(130)
    except BrokenPipeError:
        discard(sys.stdout)
        _exit(141)
    except SystemExit:
        raise
    except BaseException as error:  # also panics of libraries written in Rust, which are no Exceptions
        if os.environ.get("INSTRUCTOR_JAX_TRACEBACK"):
            raise
        message, code = told(error)
        _fail(message, code)
    if isinstance(result, int) and result:
        sys.exit(result)


def _run(arguments: Sequence[str]) -> object:
    """What the verb returns.

    Raises:
        ValueError: the arguments are none that the verb takes.
    """
    from cyclopts import CycloptsError

    # cyclopts takes a lone "-" for a nameless option; a path means the same and keeps its help with misspelt options.
    tokens = ["/dev/stdin" if token == "-" else token for token in arguments]
    verb = tokens[0] if tokens and tokens[0] not in ("--help", "-h", "--version") else None
    try:
        application = _application(verb)
        if verb and {"--help", "-h"} & set(tokens) and (help_text := _own_help(verb, tokens[1:])) is not None:
            print(help_text)
            return None
        if len(tokens) < 2 or {"--help", "-h", "--version"} & set(tokens):
            application.console = _console()  # help will be printed; importing the printer takes 0.1 s
        return application(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        error.verbose = False  # the verbose form quotes the function's source line
        hint = f"see 'instructor-jax {verb} --help'" if verb else "see 'instructor-jax --help'"
        raise ValueError(f"{_readable(error)} ({hint})") from error


def _application(verb: str | None):
    """The cyclopts application; of its verbs only `verb` is imported, the others show the summary of the table."""
    from cyclopts import App, Parameter

    from instructor_jax.version import __version__

    if verb is not None and verb not in VERBS:
        close = difflib.get_close_matches(verb, VERBS, n=1)
        meant = f"did you mean '{close[0]}'?" if close else f"the commands are {', '.join(VERBS)}"
        raise ValueError(f"unknown command {verb!r}; {meant}")
    summary = f"Text embeddings steered by instructions, in JAX.\n\n{_EXAMPLE}\n\n{_EXIT_CODES}"
    # plaintext keeps the line breaks of the examples in a docstring.
    app = App(
        name="instructor-jax",
        version=__version__,
        help=summary,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(validator=_refuse_remote_paths),
    )
    for name, (target, summary) in VERBS.items():
        if name == verb:  # without `help`, so that its docstring is shown
            module, _, attribute = target.partition(":")
            app.command(getattr(importlib.import_module(module), attribute), name=name)
        else:
            app.command(target, name=name, help=summary)
    return app


def _own_help(verb: str, arguments: Sequence[str]) -> str | None:
    """Returns what the verb's own `help_for` says of its first argument; None where it has none, or says nothing."""
    module = importlib.import_module(VERBS[verb][0].partition(":")[0])
    help_for = getattr(module, "help_for", None)
    return help_for(arguments) if help_for and arguments and not arguments[0].startswith("-") else None


def _refuse_remote_paths(kind: object, value: object) -> None:
    """Refuses URLs where any verb takes paths; cyclopts calls it with what each parameter of a verb becomes.

    Raises:
        ValueError: the value, one of a list or a field of a record of options is a URL.
    """
    from instructor_jax.io.remote_places import refuse_remote

    if isinstance(value, Path):
        refuse_remote("path", value)
    elif isinstance(value, list | tuple):
        for one in value:
            _refuse_remote_paths(kind, one)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _refuse_remote_paths(kind, getattr(value, field.name))


def _console():
    """Where cyclopts prints help; that its reader went away is told to `main`, not hidden behind another exit code."""
    from rich.console import Console

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return _Console()


def _readable(error: Exception) -> str:
    """The message of an error of cyclopts, cut so that a hint fits behind it; it draws some in boxes for terminals."""
    said = getattr(error, "exception_message", "")  # of a validator of ours, which names the value itself
    argument = getattr(error, "argument", None)
    return clean(f"{argument.name}: {said}" if said and argument else str(error))[:800]


def _fail(message: str, code: int) -> NoReturn:
    complain(f"instructor-jax: error: {clean(message)}")
    _exit(code)


def _exit(code: int) -> NoReturn:
    """Exit; what standard output still holds is written, or dropped where that fails."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        discard(sys.stdout)
    sys.exit(code)
