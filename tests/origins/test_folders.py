"""Data folders made from their origins: the table, the command, and folders equal to those at hand, file by file."""

import filecmp
import fnmatch
import gzip
import importlib.util
import io
import sys
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from instructor_jax.cli import main
from instructor_jax.origins import downloads
from instructor_jax.origins.records import chosen_folders, origin_folders
from instructor_jax.train.medi.readers.super_natural_instructions import FOLDER
from instructor_jax.train.medi.source_list import SOURCES


def _server_module():
    name = "origin_server"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def server():
    with _server_module().serving() as origin:
        yield origin


@pytest.fixture(scope="module")
def raw(shared: Path) -> Path:
    return shared / "data" / "raw"


def run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def fails(capsys, *arguments: object) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_every_source_has_an_origin_with_its_licence():
    folders = origin_folders()
    assert {source.folder for source in SOURCES} | {FOLDER} <= set(folders)
    for folder in folders.values():
        assert folder.files
        assert folder.licence
        assert folder.licence_link.startswith("https://github.com/")
        assert folder.is_known or folder.note  # what is not known is said
        for file in folder.files:
            assert file.address.startswith("https://")
            assert not file.sha256 or (len(file.sha256) == 64 and file.bytes > 0 and len(file.revision) == 40)
            assert ".." not in file.name.split("/")
    assert len(chosen_folders(["training"])) == 52
    assert len(chosen_folders(["evaluation"])) == 28


def test_every_local_evaluation_set_has_an_origin():
    from instructor_jax.evaluation.local.sources import SOURCES as LOCAL

    assert {source.folder for source in LOCAL} <= set(origin_folders())


def test_the_table_names_every_file_at_hand(raw):
    at_hand = {path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()}
    known = {f"{folder.name}/{file.name}" for folder in origin_folders().values() for file in folder.files}
    assert at_hand <= known


def serve(server, raw: Path, names: list[str]) -> int:
    """Serves the files at hand under the paths of their origins; returns how many."""
    archives: dict[str, dict[str, bytes]] = {}
    count = 0
    for folder in chosen_folders(names):
        for file in folder.files:
            content = (raw / file.folder / file.name).read_bytes()
            content = gzip.decompress(content) if file.name.endswith(".gz") else content
            parts = urlsplit(file.address)
            path = f"/{parts.netloc}{parts.path}"
            count += 1
            if file.how == "file":
                server.files[path] = content
            elif file.how == "archive":
                with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                    found = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
                archives.setdefault(path, {"README.md": b"not asked for"}).update(found)
            else:
                archives.setdefault(path, {})[file.path[1]] = content
    for path, members in archives.items():
        top = "name-revision/" if path.startswith("/codeload") else ""
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as tar:
            for name in sorted(members, reverse=True):  # another order, times and owners than those of the result
                member = tarfile.TarInfo(top + name)
                member.size, member.mtime, member.uname = len(members[name]), 1_700_000_000, "somebody"
                tar.addfile(member, io.BytesIO(members[name]))
        server.files[path] = made.getvalue()
    return count


FEW = ["eval_sts12_16", "gemoji", "rust_book", "svamp"]
MORE = ["argkp2021", "conala", "eval_ag_news", "exercism", "medquad", "nl2bash", "peps", "tweeteval_stance"]


@pytest.mark.parametrize("names", [FEW, pytest.param(MORE, marks=pytest.mark.slow)])
def test_folders_made_by_fetch_equal_those_at_hand(names, raw, server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(downloads, "_wait", lambda seconds: None)
    count = serve(server, raw, names)
    server.cut_after = 1 << 17  # every larger file is cut at least once
    words = ["medi", "fetch", *names, "--to", tmp_path / "raw", "--mirror", server.address, "--pause", 0]
    run(*words)
    assert f"{count} files fetched, 0 were there" in capsys.readouterr().out
    assert any(asked for _, asked in server.requests)  # range requests were made
    for name in names:
        at_hand = sorted(path.relative_to(raw) for path in (raw / name).rglob("*") if path.is_file())
        made = sorted(path.relative_to(tmp_path / "raw") for path in (tmp_path / "raw" / name).rglob("*"))
        made = [path for path in made if (tmp_path / "raw" / path).is_file()]
        assert made == at_hand
        for path in at_hand:
            assert filecmp.cmp(raw / path, tmp_path / "raw" / path, shallow=False), path
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == sorted(names)
    asked = len(server.requests)
    run(*words)
    assert f"0 files fetched, {count} were there" in capsys.readouterr().out
    assert len(server.requests) == asked  # nothing is asked for twice
    run("medi", "sources", tmp_path / "raw", "--only", *names, "--missing")
    assert "nothing is missing" in capsys.readouterr().out


def test_only_some_files_and_what_is_missing(raw, server, tmp_path, capsys):
    serve(server, raw, ["svamp", "tweeteval_stance"])
    common = ["--mirror", server.address, "--pause", 0]
    run("medi", "fetch", "tweeteval_stance", "--only", "abortion/*", "--to", tmp_path, *common)
    names = sorted(path.name for path in (tmp_path / "tweeteval_stance" / "abortion").iterdir())
    assert len(names) == 6
    capsys.readouterr()
    run("medi", "sources", tmp_path, "--only", "svamp", "tweeteval_stance", "--missing", "--files")
    said = capsys.readouterr().out
    assert "SVAMP.json.gz" in said
    assert "hillary/val_text.txt" in said
    assert "abortion/val_text.txt" not in said
    assert f"medi fetch svamp tweeteval_stance --to {tmp_path}" in said


def test_wrong_content_is_refused_and_nothing_is_left(raw, server, tmp_path, capsys):
    serve(server, raw, ["svamp", "rust_book"])
    common = ["--to", tmp_path, "--mirror", server.address, "--pause", 0]
    for path, content in server.files.items():
        server.files[path] = content.replace(b"a", b"b", 1) if "SVAMP" in path else content[:-200] + b"\0" * 200
    assert "is not the file that is known here" in fails(capsys, "medi", "fetch", "svamp", *common)
    assert "is damaged or another archive" in fails(capsys, "medi", "fetch", "rust_book", *common)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_there_with_another_content_is_never_replaced(tmp_path, capsys):
    (tmp_path / "svamp").mkdir()
    (tmp_path / "svamp" / "SVAMP.json").write_text("mine")
    words = ["medi", "fetch", "svamp", "--to", tmp_path, "--mirror", "http://127.0.0.1:1"]
    assert "has another content than its origin; move it away" in fails(capsys, *words)
    assert (tmp_path / "svamp" / "SVAMP.json").read_text() == "mine"
    assert "have another content than their origin" in fails(
        capsys, "medi", "sources", tmp_path, "--only", "svamp", "--check"
    )


def test_what_cannot_be_fetched_is_said(tmp_path, capsys):
    said = fails(capsys, "medi", "fetch", "medi_published", "kilt", "--to", tmp_path)
    assert "medi_published/medi-data.json must be got by hand" in said
    assert "kilt/nq-train-kilt.jsonl has no known digest (--unverified fetches it)" in said
    assert "no data folder is called 'gsm9k'" in fails(capsys, "medi", "fetch", "gsm9k", "--to", tmp_path)
    assert "no file of these folders fits" in fails(capsys, "medi", "fetch", "svamp", "--only", "x*", "--to", tmp_path)
    assert "give it: instructor-jax medi sources DATA" in fails(capsys, "medi", "sources", "--missing")
    assert fnmatch.filter(origin_folders(), "medi_*") == ["medi_published"]
