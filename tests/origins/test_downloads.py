"""Downloads that are cut, refused or wrong: what is kept is right, and what is asked for is polite."""

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest

from instructor_jax.origins.downloads import Downloads

CONTENT = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ADDRESS = "https://example.org/a/b.txt"


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
        origin.files["/example.org/a/b.txt"] = CONTENT
        yield origin


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def downloads(server, waits) -> Downloads:
    return Downloads(server.address, pause=0.5, attempts=4, sleep=waits.append)


def test_a_file_arrives(server, downloads, waits, tmp_path):
    told = []
    downloads.fetch(ADDRESS, tmp_path / "x", size=len(CONTENT), sha256=DIGEST, progress=told.append)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)
    assert waits == [0.5]
    assert all(agent.startswith("instructor-jax/") for agent in server.agents)


def test_a_cut_connection_is_taken_up_where_it_broke(server, downloads, waits, tmp_path):
    server.cut_after = 200_000
    downloads.fetch(ADDRESS, tmp_path / "x", size=len(CONTENT), sha256=DIGEST)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=200000-", "bytes=400000-"]
    assert waits == [0.5, 2, 0.5, 2, 0.5]  # each attempt brought something, so the pauses do not grow


def test_a_server_without_ranges_sends_all_anew(server, downloads, tmp_path):
    (tmp_path / "x").write_bytes(b"something that is not the beginning")
    server.ranges = False
    told = []
    downloads.fetch(ADDRESS, tmp_path / "x", size=len(CONTENT), sha256=DIGEST, progress=told.append)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert sum(told) == len(CONTENT) - 35


def test_what_an_earlier_run_left_is_gone_on_with(server, downloads, tmp_path):
    (tmp_path / "x").write_bytes(CONTENT[:1000])
    downloads.fetch(ADDRESS, tmp_path / "x", size=len(CONTENT), sha256=DIGEST)
    assert server.requests == [("/example.org/a/b.txt", "bytes=1000-")]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5, 0])
def test_another_content_is_not_kept(size, server, downloads, tmp_path):
    server.files["/example.org/a/b.txt"] = CONTENT[:-1] + b"?" + b"more!" * (size > len(CONTENT))
    with pytest.raises(ValueError, match="is not the file that is known here"):
        downloads.fetch(ADDRESS, tmp_path / "x", size=size, sha256=DIGEST)
    assert not (tmp_path / "x").exists()


def test_more_than_was_known_is_not_written(server, downloads, tmp_path):
    with pytest.raises(ValueError, match="sends more than the 1,000 bytes"):
        downloads.fetch(ADDRESS, tmp_path / "x", size=1000, sha256=DIGEST)


def test_a_busy_server_is_asked_later_and_as_it_says(server, downloads, waits, tmp_path):
    server.busy = 2
    downloads.fetch(ADDRESS, tmp_path / "x", size=len(CONTENT), sha256=DIGEST)
    assert waits == [0.5, 7, 0.5, 7, 0.5]


def test_a_server_that_stays_busy_is_given_up(server, downloads, waits, tmp_path):
    server.busy = 100
    with pytest.raises(OSError, match="given up after 4 attempts"):
        downloads.fetch(ADDRESS, tmp_path / "x")
    assert len(server.requests) == 4


def test_an_absent_file_is_told_at_once(server, downloads, tmp_path):
    with pytest.raises(OSError, match="https://example.org/none: the server answers 404"):
        downloads.fetch("https://example.org/none", tmp_path / "x")
    assert len(server.requests) == 1


def test_a_range_beyond_the_end_begins_anew(server, downloads, tmp_path):
    (tmp_path / "x").write_bytes(CONTENT + b"x")
    downloads.fetch(ADDRESS, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["http://example.org/a", "file:///etc/passwd", "ftp://example.org/a"])
def test_only_https(address, tmp_path):
    with pytest.raises(ValueError, match="must begin with https://"):
        Downloads(attempts=1, sleep=lambda seconds: None).fetch(address, tmp_path / "x")
