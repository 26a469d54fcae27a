"""Settings as a flat table by dotted key: how they are shown, kept beside checkpoints and compared."""

import dataclasses
from typing import Any


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns every setting by its dotted key, with values as JSON keeps them."""
    found: dict[str, Any] = {}
    for one in dataclasses.fields(config):
        value = getattr(config, one.name)
        if dataclasses.is_dataclass(value):
            found |= flat(value, f"{prefix}{one.name}.")
        else:
            found[prefix + one.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
