"""What a failure of a verb means to the user: one line, and the exit code.

Expected failures (a bad option, value or file, an absent extra, a device that is not there, too little memory) say what
to do. Anything else is a bug of ours, and is told as one, in one line as well.
"""

import os
import traceback

EXPECTED = 2
BUG = 70  # EX_SOFTWARE of sysexits.h

_NO_BACKEND = ("Unable to initialize backend", "Unknown backend", "No visible", "failed to initialize")
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
    if isinstance(error, RuntimeError) and _says(error, _NO_BACKEND):
        return _no_backend(error), EXPECTED
    if isinstance(error, RecursionError):
        return "a file or a value nests too deeply", EXPECTED
    if isinstance(error, ValueError | OSError | ImportError | EOFError):
        return _reason(error), EXPECTED
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({os.path.basename(place[0].filename)}, line {place[0].lineno})" if place else ""
    return (
        f"this is a bug, please report it: {type(error).__name__}: {_reason(error)}{where}; "
        "INSTRUCTOR_JAX_TRACEBACK=1 shows where it comes from",
        BUG,
    )


def _no_backend(error: RuntimeError) -> str:
    chosen = os.environ.get("JAX_PLATFORMS", "")
    cure = f"unset JAX_PLATFORMS (it is {chosen!r}) or set it to cpu" if chosen else "set JAX_PLATFORMS=cpu"
    return (
        f"JAX does not start on the device it was told to use: {cure}; for NVIDIA GPUs pip install "
        f"'instructor-jax[cuda13]', for TPUs 'instructor-jax[tpu]'; 'instructor-jax doctor' looks closer. JAX says: "
        f"{_reason(error).splitlines()[0]}"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return f"{os.fsdecode(error.filename)}: {error.strerror}"
        if isinstance(error, FileNotFoundError) and not _has_current_folder():
            return "the current folder does not exist any more; change to another one"
        return error.strerror
    return str(error) or type(error).__name__


def _has_current_folder() -> bool:
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    message = str(error)
    return any(word in message for word in words)
