"""What a command writes is new, its own, or allowed by --overwrite: no input and no file of the user's is ever lost."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.io.atomic import whole_file

from ..commands.conftest import FAKE, fails, fake, run  # noqa: F401 - fixtures

ROWS = '{"id": "1", "text": "a cat"}\n{"id": "2", "text": "a dog"}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(ROWS)
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything in a folder; of a link where it leads."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = f"-> {os.readlink(path)}" if path.is_symlink() else path.read_bytes() if path.is_file() else "."
    return found


def encode(source: str, *more: str) -> list[str]:
    return ["encode", source, "-o", "v.npy", "-m", "fake", *more]


# The input under every name that `encode` itself uses; none of them may be written or removed.
OWN_NAMES = ["v.npy", "v.npy.json", "v.ids.txt", "v.npy.parts/part-000000.npy", ".v.npy.parts.finished/in"]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", OWN_NAMES)
@pytest.mark.parametrize("link", ["itself", "symlink", "hard link"])
def test_the_input_survives_under_any_name(name, overwrite, link, folder, fails):  # noqa: F811
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    target.write_text("one\ntwo\n")
    source = target
    if link == "symlink":
        source = folder / "link"
        source.symlink_to(target)
    elif link == "hard link":
        source = folder / "hard"
        source.hardlink_to(target)
    before = contents(folder)
    says = fails(*encode(str(source), "--format", "txt", *overwrite))
    assert "name another output" in says or "Name another output" in says
    assert contents(folder) == before


@pytest.mark.parametrize("name", [".v.npy.partial", ".v.npy.0123456789abcdef.tmp", "v.npy.partial", "V.ids.txt"])
def test_names_of_the_user_that_look_like_ours_are_left_alone(name, folder, run):  # noqa: F811
    (folder / name).write_text("one\ntwo\n")
    run(*encode(name, "--format", "txt"))
    assert (folder / name).read_text() == "one\ntwo\n"


@pytest.mark.parametrize("name", ["v.npy.json", "v.ids.txt", "v.npy"])
def test_a_strangers_file_is_replaced_only_where_that_is_allowed(name, folder, run, fails):  # noqa: F811
    (folder / name).write_text("precious")
    before = contents(folder)
    assert "--overwrite" in fails(*encode("in.jsonl"))
    assert contents(folder) == before
    run(*encode("in.jsonl", "--overwrite"))
    assert np.load("v.npy").shape == (2, 24)
    assert (folder / "v.ids.txt").read_text() == "1\n2\n"


def test_ids_of_somebody_else_stay_where_there_are_none_to_replace_them(folder, run, caplog):  # noqa: F811
    (folder / "v.ids.txt").write_text("precious")
    run(*encode("in.txt", "--overwrite"))
    assert (folder / "v.ids.txt").read_text() == "precious"
    assert "was not made by this command and stays" in caplog.text


def test_our_own_ids_go_with_the_output_they_belong_to(folder, run):  # noqa: F811
    run(*encode("in.jsonl"))
    run(*encode("in.txt", "--overwrite"))
    assert not (folder / "v.ids.txt").exists()


@pytest.mark.parametrize("made", ["{}", '{"layout": 1}', "not json", "[" * 100_000, '{"layout": "1", "options": []}'])
def test_a_json_file_that_is_no_summary_is_somebody_elses(made, folder, fails):  # noqa: F811
    (folder / "v.npy.json").write_text(made)
    assert "not known to be made by this command" in fails(*encode("in.jsonl"))
    assert (folder / "v.npy.json").read_text() == made


@pytest.mark.parametrize("place", ["v.npy.parts", ".v.npy.parts.finished"])
@pytest.mark.parametrize(
    "files",
    [
        ["notes.txt"],
        ["part-1.npy"],
        ["part-000000.npy"],
        ["part-xyz.json"],
        ["lock", "options.json", "sub/a"],
    ],
)
def test_a_strangers_folder_is_never_touched(place, files, folder, fails):  # noqa: F811
    for name in files:
        (folder / place / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / place / name).write_text("precious")
    before = contents(folder)
    for overwrite in ([], ["--overwrite"]):
        says = fails(*encode("in.jsonl", *overwrite))
        assert place in says
        assert "--overwrite" not in says
    assert contents(folder) == before


def test_a_link_among_the_parts_is_not_ours(folder, fails):  # noqa: F811
    (folder / "v.npy.parts").mkdir()
    (folder / "v.npy.parts" / "lock").symlink_to(folder / "in.txt")
    before = contents(folder)
    fails(*encode("in.jsonl", "--overwrite"))
    assert contents(folder) == before


@pytest.mark.parametrize("kind", ["folder", "device", "fifo", "link to a device"])
def test_what_a_file_cannot_replace_is_refused(kind, folder, fails):  # noqa: F811
    output = folder / "v.npy"
    if kind == "folder":
        output.mkdir()
    elif kind == "fifo":
        os.mkfifo(output)
    else:
        output.symlink_to("/dev/null")
    for overwrite in ([], ["--overwrite"]):
        assert "v.npy is " in fails(*encode("in.txt", *overwrite))
    assert os.path.lexists(output)
    assert not output.is_file()


def test_a_link_as_output_is_replaced_only_where_allowed_and_never_followed(folder, run, fails):  # noqa: F811
    (folder / "kept.txt").write_text("precious")
    (folder / "v.npy").symlink_to("kept.txt")
    fails(*encode("in.txt"))
    run(*encode("in.txt", "--overwrite"))
    assert not (folder / "v.npy").is_symlink()
    assert (folder / "kept.txt").read_text() == "precious"


def test_a_file_that_appears_while_texts_are_encoded_is_not_replaced(folder, run, fails, fake, monkeypatch):  # noqa: F811
    encoded = fake.Instructor.encode

    def slow(self, *arguments, **options):
        (folder / "v.npy").write_text("precious")
        return encoded(self, *arguments, **options)

    monkeypatch.setattr(fake.Instructor, "encode", slow)
    assert "v.npy exists" in fails(*encode("in.txt"))
    assert (folder / "v.npy").read_text() == "precious"
    monkeypatch.setattr(fake.Instructor, "encode", encoded)
    (folder / "v.npy").rename(folder / "elsewhere")
    run(*encode("in.txt"))  # the parts were kept
    assert np.load("v.npy").shape == (2, 24)


def interrupted(folder: Path, run, fake, monkeypatch) -> Path:  # noqa: F811
    """An unfinished run with one part of two."""
    encoded, left = fake.Instructor.encode, [2]

    def stopping(self, *arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return encoded(self, *arguments, **options)

    monkeypatch.setattr(fake.Instructor, "encode", stopping)
    with pytest.raises(SystemExit):
        run(*encode("in.jsonl", "--part-size", "1"))
    monkeypatch.setattr(fake.Instructor, "encode", encoded)
    return folder / "v.npy.parts"


DAMAGES: dict[str, tuple[str, bytes | None]] = {
    "a cut part": ("part-000000.npy", b"\x93NUMPY"),
    "a part that is gone": ("part-000000.npy", None),
    "cut ids": ("part-000000.ids.txt", b""),
    "a garbage record": ("part-000000.json", b"\x00garbage"),
    "a record of wrong types": ("part-000000.json", b'{"rows": "1", "input": 3, "tokens": 1, "truncated": 0}'),
    "an empty record": ("part-000000.json", b"{}"),
    "a deep record": ("part-000000.json", b"[" * 100_000),
    "deep options": ("options.json", b'{"a":' * 100_000),
    "options of a wrong type": ("options.json", b'{"layout": 1, "options": [1]}'),
    "empty options": ("options.json", b""),
    "a probe that is none": ("probe.npy", b"PK\x03\x04"),
    "a probe with a pickle": (
        "probe.npy",
        b"\x93NUMPY\x01\x00F\x00{'descr': '|O', 'fortran_order': False, 'shape': ()}",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_parts_are_told_with_what_to_delete(damage, folder, run, fails, fake, monkeypatch):  # noqa: F811
    parts = interrupted(folder, run, fake, monkeypatch)
    name, content = DAMAGES[damage]
    if content is None:
        (parts / name).unlink()
    else:
        (parts / name).write_bytes(content)
    before = contents(folder)
    says = fails(*encode("in.jsonl", "--part-size", "1"))
    assert "rm -r v.npy.parts" in says
    assert contents(folder) == before


def test_the_right_to_overwrite_lasts_until_the_run_is_finished(folder, run, fake, monkeypatch):  # noqa: F811
    (folder / "v.npy").write_text("old")
    encoded = fake.Instructor.encode
    monkeypatch.setattr(fake.Instructor, "encode", lambda self, *a, **b: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit):
        run(*encode("in.txt", "--overwrite"))
    assert (folder / "v.npy").read_text() == "old"
    monkeypatch.setattr(fake.Instructor, "encode", encoded)
    run(*encode("in.txt", "--overwrite"))
    assert np.load("v.npy").shape == (2, 24)


def test_a_folder_of_parquet_files_is_not_written_into(folder, fails):  # noqa: F811
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    (folder / "data").mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), folder / "data" / "part-0.parquet")
    before = contents(folder)
    assert "which is read" in fails("encode", "data", "-o", "data/v.parquet", "-m", "fake")
    assert contents(folder) == before


@pytest.mark.parametrize("command", ["search", "similarity"])
def test_a_page_or_picture_replaces_only_its_own_kind(command, folder, run, fails):  # noqa: F811
    if command == "similarity":
        pytest.importorskip("matplotlib")
        made, start = "h.png", ["similarity", "a", "b", "c", "-m", "fake", "--heatmap"]
    else:
        made, start = "h.html", ["search", "in.txt", "-q", "one", "-m", "fake", "--html"]
    run(*start, made)
    run(*start, made)  # its own
    (folder / made).write_text("precious")
    assert "--overwrite" in fails(*start, made)
    assert (folder / made).read_text() == "precious"
    run(*start, made, "--overwrite")
    assert (folder / made).read_bytes() != b"precious"


@pytest.mark.parametrize("output", ["in.txt", "/dev/stdout", "/dev/null", ".", "link.html", "absent/h.html"])
def test_a_page_never_replaces_an_input_a_device_or_a_folder(output, folder, fails, fake):  # noqa: F811
    (folder / "link.html").symlink_to("in.txt")
    before = contents(folder)
    fails("search", "in.txt", "-q", "one", "-m", "fake", "--html", output, "--overwrite")
    assert fake.loaded == []  # told before the model is loaded
    assert contents(folder) == before


def test_temporary_files_follow_no_link_and_leave_nothing(folder):
    planted = [".v.txt.partial", ".v.txt.0123456789abcdef.partial"]
    (folder / "kept.txt").write_text("precious")
    for name in planted:
        (folder / name).symlink_to("kept.txt")
    with whole_file(folder / "v.txt") as beside:
        assert beside.name not in planted
        assert beside.stat().st_mode & 0o777 == 0o666 & ~_umask()
        beside.write_text("new")
    assert (folder / "kept.txt").read_text() == "precious"
    assert (folder / "v.txt").read_text() == "new"


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(folder):
    left = folder / ".v.txt.00000000000000aa.partial"
    left.write_text("half")
    with whole_file(folder / "v.txt") as first:
        first.write_text("first")
        assert not left.exists()
        with whole_file(folder / "v.txt") as second:
            assert first.exists()
            second.write_text("second")
    assert (folder / "v.txt").read_text() == "first"


@pytest.mark.parametrize("name", ["x" * 251 + ".npy", "ä" * 120 + ".npy", "new\nline.npy", " blank .npy", "-v.npy"])
def test_odd_and_long_names_can_be_written(name, folder):
    with whole_file(folder / name) as beside:
        beside.write_text("new")
    assert (folder / name).read_text() == "new"


# Runs the command with a limit on the size of a file, as a full disk or a quota has; SIGXFSZ is ignored by Python.
LIMITED = """
import resource, runpy, sys
sys.dont_write_bytecode = True  # Python would cut its cached modules at the limit, and later processes load the stumps
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("suffix", [".npy", ".jsonl"])
def test_a_full_disk_is_told_with_the_file_and_leaves_parts_to_go_on_from(suffix, folder):
    (folder / "many.txt").write_text("text\n" * 600)
    command = [str(FAKE), "encode", "many.txt", "-o", f"v{suffix}", "-m", "fake", "--part-size", "100"]
    limit = 40_000 if suffix == ".npy" else 100_000  # a part fits, the whole does not
    full = subprocess.run([sys.executable, "-c", LIMITED, str(limit), *command], capture_output=True, text=True)
    lines = [line for line in full.stderr.replace("\r", "\n").split("\n") if line and not line.startswith("encode:")]
    assert (full.returncode, lines) == (2, [f"instructor-jax: error: v{suffix}: {os.strerror(27)}"])
    assert len(list((folder / f"v{suffix}.parts").glob("part-*.json"))) == 6
    assert not list(folder.glob(".*partial"))
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    assert json.loads((folder / f"v{suffix}.json").read_text())["rows"] == 600
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit


def _umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


def test_two_runs_on_one_output_do_not_mix(folder):
    (folder / "many.txt").write_text("text\n" * 400)
    command = [sys.executable, str(FAKE), "encode", "many.txt", "-o", "v.npy", "-m", "slow", "--part-size", "10"]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [(process.communicate()[1], process.returncode) for process in pair]
    assert 0 in [code for _, code in results]
    for errors, code in results:
        assert code == 0 or ("another process is writing" in errors and "Traceback" not in errors)
    assert np.load(folder / "v.npy").shape == (400, 24)


def read_only(function: Callable[..., str], folder: Path) -> str:
    folder.chmod(0o555)
    try:
        return function()
    finally:
        folder.chmod(0o755)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(folder, fails):  # noqa: F811
    assert "Permission denied" in read_only(lambda: fails(*encode("in.txt")), folder)
