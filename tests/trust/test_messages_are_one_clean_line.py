"""Nothing from a file, a name or a variable reaches a terminal, a page or a report raw; no password is printed."""

import html.parser
import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from instructor_jax.commands import diagnosis, doctor
from instructor_jax.commands.diagnosis import Finding, device_findings
from instructor_jax.commands.streams import clean, clean_messages
from instructor_jax.commands.surroundings import cache_findings, environment_findings
from instructor_jax.io.printable import json_text, one_line, printable, without_secrets

from ..commands.conftest import fails, fake, run  # noqa: F401 - fixtures

UNSAFE = [
    *("\x1b[31m", "\x1b]0;title\x07", "\x9b1m", "\x00", "\x08\x08", "\x7f", "\x85", "\r", "\u202e", "\u2066", "\u200f"),
    *("\u2028", "\u061c", "\udcff"),
]


def obeyed(text: str) -> set[str]:
    """The characters of a text that a terminal could obey."""
    ranges = ((0, 31), (127, 159), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x2069), (0xD800, 0xDFFF))
    return {c for c in text if c not in "\n\t" and (c == "\u061c" or any(a <= ord(c) <= b for a, b in ranges))}


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_control_characters_become_visible(unsafe):
    text = f"a{unsafe}b"
    assert not obeyed(printable(text))
    assert not obeyed(one_line(text))
    assert "\n" not in one_line(f"{text}\n\nc\td")
    assert printable("ä 日本 🙂\t\n") == "ä 日本 🙂\t\n"


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_json_escapes_them_and_means_the_same(unsafe):
    value = {f"k{unsafe}": [f"a{unsafe}b", "ä\n\t"]}
    for ascii_only in (False, True):
        text = json_text(value, ascii_only=ascii_only)
        assert not obeyed(text)
        assert json.loads(text) == value


def test_messages_are_cut():
    assert len(one_line("x" * 10**6)) == 1000
    assert len(clean("y\n" * 10**6)) == 1000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@hub.example/a", "https://(hidden)@hub.example/a"),
        ("https://user@hub.example", "https://(hidden)@hub.example"),
        ("http://u:p%40ss@h:80/x?token=abc&b=1", "http://(hidden)@h:80/x?(hidden)"),
        ("http://u:p@ss@h/", "http://(hidden)@h/"),
        ("https://h/x#secret", "https://h/x?(hidden)"),
        ("url: 'https://h/x?sig=1'.", "url: 'https://h/x?(hidden)'."),
        ("Bearer hf_abcdefGHIJ1234", "Bearer (hidden)"),
        ("https://h/x and me@example.org", "https://h/x and me@example.org"),
        ("gs://bucket/path", "gs://bucket/path"),
    ],
)
def test_secrets_in_addresses_are_hidden(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("HF_TOKEN", "hf_secretsecret", "(set)"),
        ("HF_ENDPOINT", "https://me:pw@hub.example", "https://(hidden)@hub.example"),
        ("HF_ENDPOINT", "https://hub.example?token=pw", "https://hub.example?(hidden)"),
        ("HTTPS_PROXY", "http://me:pw@proxy:3128", "http://(hidden)@proxy:3128"),
        ("https_proxy", "me:pw@proxy:3128", "(hidden)@proxy:3128"),
        ("ALL_PROXY", "socks5://me:pw@proxy", "socks5://(hidden)@proxy"),
        ("HF_HUB_API_KEY", "pw", "(set)"),
        ("TPU_AUTH", "pw", "(set)"),
        ("INSTRUCTOR_JAX_SECRET", "pw", "(set)"),
        ("JAX_PLATFORMS", "cpu", "cpu"),
        ("XLA_FLAGS", "--a=b --c", "--a=b --c"),
    ],
)
def test_the_report_hides_secrets(name, value, shown):
    [finding] = environment_findings({name: value, "HOME": "/home", "OTHER": "pw"})
    assert (finding.name, finding.value) == (name, shown)
    assert "pw" not in finding.value


def test_no_finding_is_raw_and_none_quotes_a_password(monkeypatch, capsys, run):  # noqa: F811
    probe = {"error": "cannot reach https://me:pw@hub \x1b[1m"}
    monkeypatch.setattr(doctor, "probe_devices", lambda: probe)
    monkeypatch.setenv("JAX_PLATFORMS", "\x1b]0;x\x07https://me:pw@h")
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as stop:
            run("doctor", *more)
        assert stop.value.code == 1
        out = capsys.readouterr().out
        assert "pw" not in out.replace("pwd", "")
        assert not obeyed(out)


def test_a_home_that_nobody_knows_and_caches_that_cannot_be_read(monkeypatch, tmp_path):
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(diagnosis.Path, "home", unknown)
    monkeypatch.setattr(diagnosis.os.path, "expanduser", lambda path: path)
    assert cache_findings({}, {"error": "x"})[0].name == "models (hub)"
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "loop").symlink_to("loop")
    assert "0 B used" in cache_findings({"HF_HOME": str(tmp_path)}, {"error": "x"})[0].value


def test_flags_that_end_the_process_are_named():
    probe = {"error": "Unknown flag in XLA_FLAGS: --nonsense (exit code -6)", "aborted": True}
    [finding] = device_findings(probe, frozenset(), {"XLA_FLAGS": "--nonsense", "JAX_PLATFORMS": "cpu"})
    assert finding == Finding("Devices", "jax", str(probe["error"]), "broken", "unset XLA_FLAGS (it is '--nonsense')")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings as in a process that nobody has set up, which pytest has."""
    monkeypatch.setattr(warnings, "showwarning", warnings._showwarning_orig)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["instructor_jax.commands", "jax._src.xla_bridge", "absl", "another.library"])
def test_a_log_record_of_any_library_is_one_clean_line(name, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's, which come after the fixtures
    with clean_messages():
        logging.getLogger(name).warning("file %s\nhttps://me:pw@h %s", "\x1b[1m", "x" * 5000)
        logging.getLogger(name).warning("does %d not fit", "text")
    lines = capsys.readouterr().err.split("\n")
    assert len(lines) == 3
    assert lines[0].startswith("instructor-jax: warning: file \\x1b[1m https://(hidden)@h xxx")
    assert len(lines[0]) < 1100
    assert "does %d not fit" in lines[1]


@pytest.mark.usefixtures("alone")
def test_handlers_of_others_get_clean_records_too(capsys):
    stream = logging.StreamHandler()
    with clean_messages():
        logging.getLogger("x").addHandler(stream)
        logging.getLogger("x").warning("a\x1b[1m\nb")
        logging.getLogger("x").removeHandler(stream)
    assert capsys.readouterr().err == "a\\x1b[1m b\n"
    assert not isinstance(logging.makeLogRecord({}), type(None))
    assert logging.getLogRecordFactory() is logging.LogRecord  # all is as before


@pytest.mark.usefixtures("alone")
def test_a_warning_is_one_clean_line(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = warnings._showwarning_orig  # type: ignore[attr-defined]
        with clean_messages():
            warnings.warn("a\x1b[1m\nb", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "instructor-jax: warning: a\\x1b[1m b\n"


EVIL = "\x1b]0;pwned\x07 \x9b31m \u202e <b>x</b> \x7f"


def test_texts_reach_the_terminal_and_the_page_clean(tmp_path, run, capsys):  # noqa: F811
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": f"i{EVIL}", "text": f"t{EVIL}"}) + "\n")
    common = ["-m", "fake"]
    run("search", tmp_path / "in.jsonl", "-q", EVIL, "--html", tmp_path / "h.html", *common)
    run("search", tmp_path / "in.jsonl", "-q", EVIL, "--json", *common)
    run("similarity", EVIL, f"a{EVIL}", "c", *common)
    run("similarity", EVIL, f"a{EVIL}", *common)
    run("similarity", EVIL, f"a{EVIL}", "c", "--json", *common)
    out = capsys.readouterr().out
    assert not obeyed(out)
    page = (tmp_path / "h.html").read_text()
    assert not obeyed(page)
    assert "<b>x" not in page
    html.parser.HTMLParser().feed(page)


@pytest.mark.parametrize("place", ["file", "column", "value", "header", "model"])
def test_errors_quote_names_and_values_clean(place, tmp_path, fails: Callable[..., str]):  # noqa: F811
    name = "in.jsonl"
    row = {"text": "a"}
    more = ["-m", "fake"]
    if place == "file":
        name = "\x1b[1m\u202e.jsonl"
        row = {"text": 5}
    elif place == "column":
        more += ["--text-column", EVIL]
    elif place == "value":
        row = {"text": [EVIL]}
    elif place == "header":
        row = {f"a{EVIL}": "x", f"b{EVIL}": "y"}
    else:
        more = ["-m", f"{EVIL}{'x' * 5000}"[:200]]
    (tmp_path / name).write_text(json.dumps(row) + "\n")
    line = fails("encode", tmp_path / name, "-o", tmp_path / "v.npy", *more)
    assert not obeyed(line)
    assert len(line) < 1100
