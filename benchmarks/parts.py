"""The parts of the benchmark: the mix of lengths, the exact lengths, and single queries."""

import dataclasses
import time
from typing import Any

import numpy as np
from contenders import Latencies, Measurement, Process, Setting, latencies, measure
from race import agreement, latency_row, race, summary
from tqdm import tqdm
from workload import Workload

_SETTLE_SECONDS = 0.3  # threads of the library that worked last may still spin for their next task
_WARM_TEXTS = 16


@dataclasses.dataclass(frozen=True)
class Bench:
    """The libraries, loaded, and what they are to do.

    Attributes:
        dtype: of ours and the peer.
        workload: what they encode.
        settings: of all libraries.
        rounds: how often each measurement is repeated.
        processes: library -> its process.
    """

    dtype: str
    workload: Workload
    settings: list[Setting]
    rounds: int
    processes: dict[str, Process]

    def mixed(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Speeds on the mix, and the vectors by library and dtype."""
        entries = self._race("mixed", self.workload.texts)
        vectors = {f"{entry['setting'].library} {self.dtype}": entry["measurements"][0].vectors for entry in entries}
        return summary(entries), vectors

    def lengths(self) -> dict[str, dict[str, Any]]:
        """Speeds by exact length in tokens, of ours and the peer."""
        return {
            str(length): summary(self._race(f"{length} tokens", texts, ("ours", "peer")))
            for length, texts in self.workload.by_length.items()
        }

    def latency(self) -> list[dict[str, Any]]:
        """Times of single queries, round by round; batch sizes do not matter here."""
        settings = list({(s.library, s.attention): s for s in self.settings}.values())
        found: dict[Setting, list[Latencies]] = {setting: [] for setting in settings}
        for number in tqdm(range(self.rounds), desc=f"{self.dtype}, single queries"):
            for setting in settings[::-1] if number % 2 else settings:
                time.sleep(_SETTLE_SECONDS)
                process = self.processes[setting.library]
                found[setting].append(
                    process.call(latencies, setting, self.workload.queries, self.workload.instruction)
                )
        return [latency_row(setting, rounds) for setting, rounds in found.items()]

    def _race(self, title: str, texts: list[str], libraries: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """Of some libraries, or of all."""
        settings = [setting for setting in self.settings if not self._repeats(setting, len(texts))]
        settings = [setting for setting in settings if not libraries or setting.library in libraries]
        few = texts[:: max(1, len(texts) // _WARM_TEXTS)]
        with tqdm(desc=f"{self.dtype}, {title}", unit="run", mininterval=1) as bar:

            def run(setting: Setting, texts: list[str] = texts) -> Measurement:
                bar.set_postfix_str(setting.label, refresh=False)
                time.sleep(_SETTLE_SECONDS)
                measured = self.processes[setting.library].call(measure, setting, texts, self.workload.instruction)
                bar.update()
                return measured

            for setting in settings:
                run(setting, few)
            return race(run, settings, self.rounds)

    def _repeats(self, setting: Setting, texts: int) -> bool:
        """Whether a smaller batch size already takes all the texts at once."""
        sizes = [other.batch_size or 0 for other in self.settings if other.kind == setting.kind]
        return any(texts <= size < (setting.batch_size or 0) for size in sizes)


def agreements(dtype: str, vectors: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Ours against the peer of the same type, and every library against the peer's float32 where that was measured."""
    measured = [name for name in vectors if name.endswith(f" {dtype}")]
    pairs = {(f"ours {dtype}", f"peer {dtype}"): None, **{(name, "peer float32"): None for name in measured}}
    return {f"{a} and {b}": agreement(vectors[a], vectors[b]) for a, b in pairs if b in vectors and a != b}
