"""What docs/serve.md shows runs, and what it promises is what the server has."""

import json
import re
import shlex
import subprocess

import pytest

from instructor_jax.server.documented import EMBEDDING_ERRORS
from instructor_jax.server.settings import Limits

CLIENTS = {
    "openai": "openai",
    "huggingface_hub": "huggingface_hub",
    "cohere": "cohere",
    "langchain": "langchain_openai",
}


@pytest.fixture(scope="module")
def text(repository):
    return (repository / "docs/serve.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("client", CLIENTS)
def test_snippets_run(client, text, server, monkeypatch, capsys):
    pytest.importorskip(CLIENTS[client], reason=f"needs the client {client}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    snippets = re.findall(r"```python\n(.*?)```", text, re.S)
    (snippet,) = [code for code in snippets if re.match(rf"(from|import) {CLIENTS[client]}\b", code)]
    exec(snippet.replace("http://localhost:8080", server.url), {})
    assert re.search(r"\d", capsys.readouterr().out)


def test_the_command_to_try(text, server):
    (command,) = re.findall(r"```sh\n(.*?)```", text, re.S)
    done = subprocess.run(
        shlex.split(command.replace("\\\n", "").replace("http://localhost:8080", server.url)),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert len(json.loads(done.stdout)["data"]) == 2


def test_statuses_and_limits(text):
    told = {int(status) for status in re.findall(r"^\| (\d{3}) \|", text, re.M)}
    assert told == {200, *EMBEDDING_ERRORS}
    limits = Limits()
    for name, value in (
        ("body-bytes", limits.body_bytes),
        ("items", limits.items),
        ("request-tokens", limits.request_tokens),
        ("queued-tokens", limits.queued_tokens),
        ("requests", limits.requests),
    ):
        assert re.search(rf"`--max-{name}` \| {value:,}\b", text), name


def test_the_example_for_kubernetes_fits(repository):
    yaml = pytest.importorskip("yaml", reason="needs pyyaml")
    documents = list(yaml.safe_load_all((repository / "deploy/kubernetes.yaml").read_text()))
    pod = documents[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    drain = next(int(one.partition("=")[2]) for one in container["args"] if one.startswith("--drain-seconds"))
    assert pod["terminationGracePeriodSeconds"] > drain + 5
    for file in ("Dockerfile", "Dockerfile.cuda"):
        lines = (repository / file).read_text().splitlines()
        assert f"USER {pod['securityContext']['runAsUser']}" in lines
        assert any(line.startswith("HEALTHCHECK") for line in lines)
