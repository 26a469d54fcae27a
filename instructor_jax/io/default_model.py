"""The small English model that the package carries: what is loaded where no other is named. It needs no network."""

from pathlib import Path

DEFAULT_MODEL = "default"  # always the packaged one; a folder of that name is "./default"
DEFAULT_FOLDER = Path(__file__).parents[1] / "assets" / DEFAULT_MODEL
