"""The registry: which tasks a folder of raw data gives, of the listed sources and of Super-NaturalInstructions."""

import logging
from pathlib import Path

from .files.raw_files import EVALUATION_PREFIX
from .files.records import Source
from .readers.super_natural_aspects import opposed_sources
from .readers.super_natural_instructions import FOLDER as SUPER_NATURAL_INSTRUCTIONS
from .readers.super_natural_instructions import super_natural_sources
from .source_list import SOURCES

logger: logging.Logger = logging.getLogger(__name__)


def all_sources(root: Path, corrections: Path | None = None) -> list[Source]:
    """Returns every task below the data root: those of each registered folder, and all of Super-NaturalInstructions.

    Folders of the registry that are absent are named in a warning, and so are folders nobody registered; evaluation
    folders (`eval_*`) are never looked into.

    Args:
        root: folder with one folder per source.
        corrections: TOML file laid over the one shipped for Super-NaturalInstructions.

    Raises:
        ValueError: none of the folders is there, or two tasks have one name.
    """
    found = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(EVALUATION_PREFIX)}
    known = {source.folder for source in SOURCES} | {SUPER_NATURAL_INSTRUCTIONS}
    sources = [source for source in SOURCES if source.folder in found]
    if SUPER_NATURAL_INSTRUCTIONS in found:
        super_natural = super_natural_sources(root / SUPER_NATURAL_INSTRUCTIONS, corrections)
        sources += [*super_natural, *opposed_sources(super_natural)]
    if not sources:
        raise ValueError(f"{root} holds none of the {len(known)} source folders, such as {sorted(known)[:3]}.")
    if absent := sorted(known - found):
        logger.warning("%s: %d source folders are absent: %s", root, len(absent), ", ".join(absent))
    if unknown := sorted(found - known):
        logger.warning("%s: %d folders are in no registry and are not read: %s", root, len(unknown), ", ".join(unknown))
    names = [source.name for source in sources]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two tasks have the same name: {repeated}.")
    return sources
