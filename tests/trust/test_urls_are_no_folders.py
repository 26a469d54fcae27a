"""A URL is never taken for a local folder: every verb refuses it where a path is meant, and nothing is written."""

import importlib.util
from pathlib import Path

import pytest

from instructor_jax.cli import _refuse_remote_paths, main
from instructor_jax.io.folder_writer import check_target
from instructor_jax.io.remote_places import remote_scheme

COMMANDS = [
    "encode hdfs://b/in.txt -o o.npy",
    "encode {file} -o hdfs://b/o.npy",
    "encode {file} -o o.npy --cache-dir s3://b",
    "search gs://b/corpus.txt",
    "search {file} --html az://b/x.html",
    "similarity --pairs gs://b/x.csv",
    "train tiny data=http://b/d output=o",
    "train tiny data=d output=hdfs://b/o",
    "train tiny data=d output=o evaluation.data=gs://b/e",
    "train tiny data=d output=o init_from=hdfs://b/m",
    "train tiny data=d output=o tokenizer=hdfs://b/m",
    'train tiny data=d output=o mixture.avoid=["gs://b/x"]',
    "train tiny data=d output=o --config s3://b/c.toml",
    "plan tiny --topology cpu:1 --output gs://b/p",
    "plan tiny --topology cpu:1 --json gs://b/p.json",
    "export hdfs://b/run",
    "export runs/x file:///b/m",
    "medi import {file} --to s3://b/d",
    "medi import gs://b/x.jsonl --to d",
    "medi build gs://b/x --to d",
    "evaluate default --output gs://b/e",
    "evaluate default --data hdfs://b/e",
    "convert default hdfs://b/m",
    "convert default m --tokenizer file:///b/m",
    "create gs://b/m",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_verb_refuses_urls_as_paths(command: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    Path("in.txt").write_text("a text\n")
    with pytest.raises(SystemExit) as ended:
        main([part.format(file="in.txt") for part in command.split()])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    scheme = next(part for part in command.replace('["', "=").replace("=", " ").split() if "://" in part).split(":")[0]
    assert f"{scheme}://" in told
    assert "give the path" in told
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


@pytest.mark.parametrize(
    "command",
    [
        "train tiny data=s3://b/d output=o",
        "train tiny data=d output=s3://b/o",
        "train tiny data=d output=o init_from=s3://b/m",
        "encode in.txt -o o.npy --model s3://b/m",
        "encode s3://b/in.txt -o o.npy",
        "encode in.txt -o s3://b/o.npy",
        "encode in.txt -o s3://b/vectors/ --shard 0/2",
        "export s3://b/run",
        "export runs/x s3://b/m",
        "convert default s3://b/m",
        "convert s3://b/m m",
    ],
)
def test_a_store_whose_package_is_absent_names_it(command: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("a text\n")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "s3fs" else find_spec(name))
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "s3:// is served by the package s3fs: pip install 'instructor-jax[remote]'" in told
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_texts_may_be_urls() -> None:
    _refuse_remote_paths(str, "http://x.y/")
    _refuse_remote_paths(tuple, ("gs://a", Path("gs/a")))
    with pytest.raises(ValueError, match="gs://a"):
        _refuse_remote_paths(tuple, ("gs://a", Path("gs://a")))


@pytest.mark.parametrize(
    ("place", "scheme"),
    [
        ("gs://b/x", "gs"),
        (Path("GS://b/x"), "gs"),
        ("s3a:/b", "s3a"),
        ("C:/models", None),  # a drive of Windows
        ("C:\\models", None),
        ("/data/gs:/x", None),
        ("a:b", None),
        ("hkunlp/instructor-base", None),
        (None, None),
    ],
)
def test_which_paths_are_urls(place: object, scheme: str | None) -> None:
    assert remote_scheme(place) == scheme


def test_folders_are_written_to_folders_only(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="gs://b/m' lies behind gs://"):
        check_target(Path("gs://b/m"))
