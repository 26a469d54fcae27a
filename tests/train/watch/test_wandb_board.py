"""Figures for Weights & Biases, offline: what its own client would send is read from the file that it keeps."""

import importlib.metadata
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from instructor_jax.train.run.metrics_logger import MetricsLogger
from instructor_jax.train.run.preparation import prepare
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import LogConfig
from instructor_jax.train.watch import wandb_board
from instructor_jax.train.watch.wandb_board import RUN_ID, WandbBoard

from ..random_batches import tiny_config

LOG = LogConfig(every=1, tensorboard=False, wandb=True)
_BLOCK = 32768  # of LevelDB's log format, which the client keeps its records in


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_PROJECT", "WANDB_NAME", "WANDB_RUN_ID", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def records(file: Path) -> Iterator[Any]:
    """The client's records, by its own protocol."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made when it is imported

    data, at, parts = file.read_bytes(), 7, b""  # after a header of seven bytes
    while at + 7 <= len(data):
        if _BLOCK - at % _BLOCK < 7:  # no header fits: the block is padded
            at += _BLOCK - at % _BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def end(logger: MetricsLogger) -> None:
    """Ends a run, and the client's process, which writes its file to the end, as it does where a program ends."""
    import wandb

    logger.close()
    wandb.teardown()


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


def history(file: Path) -> list[dict[str, str]]:
    lines = []
    for record in records(file):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            found = {"/".join(one.nested_key) or one.key: one.value_json for one in items}
            lines.append({key: value for key, value in found.items() if not key.startswith("_")})
    return lines


@pytest.mark.slow
def test_figures_and_settings_go_there_and_a_run_that_goes_on_goes_on_there(offline, tmp_path) -> None:
    folder = tmp_path / "my run"
    settings = {"steps": 6, "optimizer.learning_rate": 0.5}
    logger = MetricsLogger(folder, tiny_config(), LOG, 0, settings=settings)
    logger.evaluated(1, {"STSBenchmark": 50.5})
    logger.evaluated(2, {"STSBenchmark": 51.5})
    end(logger)
    (first,) = kept(folder)
    assert history(first) == [
        {"step": "1", "evaluation/STSBenchmark": "50.5"},
        {"step": "2", "evaluation/STSBenchmark": "51.5"},
    ]
    runs = [record.run for record in records(first) if record.WhichOneof("record_type") == "run"]
    assert {(one.project, one.display_name) for one in runs} == {("instructor-jax", "my run")}
    configured = [
        (one.key or "/".join(one.nested_key), one.value_json)
        for record in records(first)
        for one in (record.config.update if record.WhichOneof("record_type") == "config" else record.run.config.update)
    ]
    assert ("steps", "6") in configured
    assert ("optimizer.learning_rate", "0.5") in configured
    run_id = (folder / RUN_ID).read_text().strip()
    assert {one.run_id for one in runs} == {run_id}

    again = MetricsLogger(folder, tiny_config(), LOG, 1, settings={**settings, "steps": 7})
    again.evaluated(2, {"STSBenchmark": 51.5})  # a step that is made again
    end(again)
    second = next(file for file in kept(folder) if file != first)
    assert history(second) == [{"step": "2", "evaluation/STSBenchmark": "51.5"}]
    assert {one.run.run_id for one in records(second) if one.WhichOneof("record_type") == "run"} == {run_id}


def test_unless_asked_for_its_package_is_not_imported(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import of it fails
    MetricsLogger(tmp_path, tiny_config(), LogConfig(tensorboard=False), 0).close()
    assert not (tmp_path / RUN_ID).exists()
    assert not LogConfig().wandb


def test_without_its_package_a_run_ends_before_it_begins(tmp_path, monkeypatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    run = RunConfig(data=str(tmp_path / "data"), output=str(tmp_path / "run"), log=LOG)
    with pytest.raises(ValueError, match=r"log.wandb=true needs wandb: pip install 'instructor-jax\[wandb\]'"):
        prepare(run)
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_process_speaks_to_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("instructor_jax.train.run.metrics_logger.is_main", lambda: False)
    monkeypatch.setitem(sys.modules, "wandb", None)
    MetricsLogger(tmp_path, tiny_config(), LOG, 0).close()
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_was_changed_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(wandb_board, "require_wandb", lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", type(sys)("wandb"))
    (tmp_path / RUN_ID).write_text("../../other\n")
    with pytest.raises(ValueError, match=r"wandb_run_id must hold the id of a run.*'\.\./\.\./other'; delete it"):
        WandbBoard(tmp_path, {})


def test_what_it_does_not_take_does_not_stop_the_run(tmp_path, monkeypatch, caplog) -> None:
    class Gone:
        """A run whose connection is lost."""

        config: dict[str, Any] = {}  # noqa: RUF012

        def __getattr__(self, name: str) -> Any:
            if name == "define_metric":
                return lambda *_, **__: None
            raise ConnectionError("gone")

    package: Any = type(sys)("wandb")
    package.init, package.Settings = lambda **_: Gone(), lambda **_: None
    Gone.config = type("Config", (dict,), {"update": lambda self, *_, **__: None})()
    monkeypatch.setattr(wandb_board, "require_wandb", lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", package)
    board = WandbBoard(tmp_path, {})
    board.scalars(1, {"train/loss": 1.0})
    board.scalars(2, {"train/loss": 1.0})
    board.close()
    assert [one.getMessage() for one in caplog.records] == [
        "Weights & Biases takes no figures any more: gone",
        "Weights & Biases did not end as it should: gone",
    ]
