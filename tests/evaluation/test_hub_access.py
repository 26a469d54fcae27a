"""A hub that does not answer is asked once."""

import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType

import pytest

from instructor_jax.evaluation.hub_access import offline_unless_reachable

LIBRARIES = ("huggingface_hub.constants", "datasets.config")


@pytest.fixture
def online(monkeypatch):
    """As outside of tests, where nobody has said that there is no network; with stand-ins for the libraries."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))


def test_no_answer_means_offline_from_now_on(online, monkeypatch, caplog):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")  # nobody listens
        assert not offline_unless_reachable(1.0)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert all(sys.modules[name].HF_HUB_OFFLINE is True for name in LIBRARIES)  # they do not look again by themselves
    assert "cannot be reached" in caplog.text
    caplog.clear()
    assert not offline_unless_reachable(1.0)
    assert not caplog.text


@pytest.mark.parametrize("status", [200, 403])
def test_any_answer_will_do(online, monkeypatch, status):
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert offline_unless_reachable(5.0)
    assert "HF_HUB_OFFLINE" not in os.environ
