"""What a failure of a verb means to the user: one line, and the exit code.

Expected failures (a bad option, value or file, an absent extra, a device that is not there, too little memory) say what
to do. Anything else is a bug of ours, and is told as one, in one line as well.
"""

import errno
import os
import traceback

from instructor_jax.io.printable import one_line

EXPECTED = 2
BUG = 70  # EX_SOFTWARE of sysexits.h

_NO_BACKEND = ("Unable to initialize backend", "Unknown backend", "No visible", "failed to initialize")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_MEMORY = (
    "RESOURCE_EXHAUSTED",
    "Out of memory",
    "out of memory",
    "Cannot allocate memory",
    "can't start new thread",
)


def told(error: BaseException) -> tuple[str, int]:
    """The message of a failure, not yet cleaned, and the exit code."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError | OSError) and _says(error, _NO_MEMORY)):
        return f"out of memory: {_reason(error)}; give a smaller --batch-size or part, or a machine with more", EXPECTED
    # JAX asserts, without a word, where a plugin for the platform is not installed.
    silent = isinstance(error, AssertionError) and _place(error)[0] == "xla_bridge.py"
    if silent or (isinstance(error, RuntimeError) and _says(error, _NO_BACKEND)):
        return _no_backend(error), EXPECTED
    if isinstance(error, RecursionError):
        return "a file or a value nests too deeply", EXPECTED
    if isinstance(error, ValueError | OSError | ImportError | EOFError):
        return _reason(error), EXPECTED
    return (
        f"this is a bug, please report it: {type(error).__name__}: {_reason(error)} ({', line '.join(_place(error))}); "
        "INSTRUCTOR_JAX_TRACEBACK=1 shows where it comes from",
        BUG,
    )


def _place(error: BaseException) -> tuple[str, str]:
    """The file and the line that an error comes from."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    return (os.path.basename(place[0].filename), str(place[0].lineno)) if place else ("unknown", "0")


def _no_backend(error: BaseException) -> str:
    chosen = os.environ.get("JAX_PLATFORMS", "")
    cure = f"unset JAX_PLATFORMS (it is {chosen!r}) or set it to cpu" if chosen else "set JAX_PLATFORMS=cpu"
    return (
        f"JAX does not start on the device it was told to use: {cure}; for NVIDIA GPUs pip install "
        f"'instructor-jax[cuda13]', for TPUs 'instructor-jax[tpu]'; 'instructor-jax doctor' looks closer"
        f"{f'. JAX says: {error}' if str(error) else ''}"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return f"{one_line(os.fsdecode(error.filename), 400)}: {error.strerror}"
        if isinstance(error, FileNotFoundError) and not _has_current_folder():
            return "the current folder does not exist any more; change to another one"
        # Every file of ours is written with its name (`whole_file`); what is left is a redirected stream.
        return f"standard output: {error.strerror}" if error.errno in _FULL else error.strerror
    return str(error) or type(error).__name__


def _has_current_folder() -> bool:
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    message = str(error)
    return any(word in message for word in words)
