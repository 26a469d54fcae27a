"""The routes of Text Embeddings Inference against the library: vectors, tokens, similarities, headers, errors."""

import json

import numpy as np
import pytest

QUERY = "Represent the question for retrieving supporting documents: "
TEXTS = ["a river bank", "the bank raised its rate", "naïve café ☕"]
CLOSE = 2e-6  # company in a packed row changes the last bits of float32


def post(server, path, status=200, **body):
    answer = server.client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize("path", ["/embed", "/"])
def test_embed(server, library, path):
    np.testing.assert_allclose(post(server, path, inputs=TEXTS), library.encode(TEXTS), atol=CLOSE)
    one = post(server, path, inputs=TEXTS[0])
    np.testing.assert_allclose(one, library.encode(TEXTS[:1]), atol=CLOSE)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": TEXTS, "instruction": QUERY},
        {"inputs": [[QUERY, text] for text in TEXTS]},
        {"inputs": TEXTS, "input_type": "query"},
    ],
    ids=["instruction", "pairs", "role"],
)
def test_instructions(server, library, body):
    np.testing.assert_allclose(post(server, "/embed", **body), library.encode(TEXTS, instruction=QUERY), atol=CLOSE)


def test_dimensions(server, library):
    found = post(server, "/embed", inputs=TEXTS, dimensions=32, normalize=True)
    np.testing.assert_allclose(found, library.encode(TEXTS, truncate_dim=32), atol=CLOSE)


def test_headers_tell_tokens_and_times(server):
    answer = server.client.post("/embed", json={"inputs": TEXTS})
    assert answer.headers["x-compute-characters"] == str(sum(map(len, TEXTS)))
    assert answer.headers["x-compute-type"] == "instructor-jax"
    assert int(answer.headers["x-compute-tokens"]) > 3
    for name in ("compute", "total", "tokenization", "queue", "inference"):
        assert int(answer.headers[f"x-{name}-time"]) >= 0


def test_embed_all_gives_the_states_of_all_tokens(server, library):
    found = post(server, "/embed_all", inputs=TEXTS, instruction=QUERY)
    expected = library.encode(TEXTS, instruction=QUERY, output_value="token_embeddings")
    for states, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(states, wanted, atol=2e-5)  # states are not of unit length


def test_tokens_there_and_back(server):
    (tokens,) = post(server, "/tokenize", inputs="two river banks")
    assert "".join(token["text"] for token in tokens if not token["special"]).replace(" ", "") == "tworiverbanks"
    assert tokens[-1]["special"]
    for token in tokens:
        if token["special"]:
            assert token["start"] is None
        else:
            assert 0 <= token["start"] <= token["stop"] <= len("two river banks")
    ids = [token["id"] for token in tokens]
    assert post(server, "/decode", ids=ids) == ["two river banks"]
    assert post(server, "/decode", ids=[ids, ids[:1]])[0] == "two river banks"
    (bare,) = post(server, "/tokenize", inputs=["two river banks"], add_special_tokens=False)
    assert [token["id"] for token in bare] == [token["id"] for token in tokens if not token["special"]]


def test_similarity(server, library):
    body = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}
    found = post(server, "/similarity", inputs=body, parameters={"instruction": QUERY})
    vectors = library.encode(TEXTS, instruction=QUERY)
    np.testing.assert_allclose(found, vectors[1:] @ vectors[0], atol=1e-5)
    assert len(post(server, "/similarity", inputs=body)) == 2


def test_info_and_health(server):
    info = server.client.get("/info").json()
    assert info["model_id"] == "instructor-jax-default"
    assert info["max_client_batch_size"] == 2048
    assert info["max_input_length"] == server.model.max_length
    assert set(info["model_type"]) == {"embedding"}
    for path in ("/health", "/health/live", "/health/ready", "/ping"):
        answer = server.client.get(path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/embed", {"inputs": []}, 400, "empty"),
        ("/embed", {}, 422, "validation"),
        ("/embed", {"inputs": 3}, 422, "validation"),
        ("/embed", {"inputs": "a", "normalize": "yes"}, 422, "validation"),
        ("/embed", {"inputs": "a", "dimensions": 0}, 422, "validation"),
        ("/embed", {"inputs": "a", "dimensions": 9999}, 422, "validation"),
        ("/embed", {"inputs": "a", "prompt_name": "none such"}, 422, "validation"),
        ("/embed", {"inputs": "a", "truncation_direction": "left"}, 422, "validation"),
        ("/embed", {"inputs": "word " * 400, "truncate": False}, 422, "validation"),
        ("/embed", {"inputs": "\ud800"}, 422, "validation"),
        ("/embed", {"inputs": [[10**9]]}, 422, "validation"),
        ("/embed", {"inputs": ["a"] * 2049}, 413, "validation"),
        ("/embed_all", {"inputs": [None]}, 422, "validation"),
        ("/tokenize", {"inputs": [[1, 2]]}, 422, "validation"),
        ("/decode", {"ids": []}, 422, "validation"),
        ("/decode", {"ids": [[-1]]}, 422, "validation"),
        ("/decode", {"ids": [[10**9]]}, 422, "validation"),
        ("/decode", {"ids": "abc"}, 422, "validation"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, 422, "validation"),
        ("/none/such", {}, 404, "not_found"),
    ],
)
def test_what_is_refused(server, path, body, status, kind):
    content = json.dumps(body).encode("ascii")
    answer = server.client.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["error_type"] == kind
    assert answer.json()["error"]


def test_metrics_count_texts_and_calls(server):
    def value(name: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    before = value("instructor_texts_total"), value("instructor_device_calls_total")
    post(server, "/embed", inputs=TEXTS)
    assert value("instructor_texts_total") == before[0] + 3
    assert value("instructor_device_calls_total") == before[1] + 1
    assert value("instructor_ready") == 1
    assert value("instructor_queue_tokens") == 0


def test_metrics_under_the_names_of_its_dashboards(starts):
    server = starts(metrics_names="tei")
    post(server, "/embed", inputs=TEXTS)
    names = {line.partition("{")[0].partition(" ")[0] for line in server.client.get("/metrics").text.splitlines()}
    assert names >= {
        "te_request_count",
        "te_request_success",
        "te_request_duration_bucket",
        "te_request_queue_duration_sum",
        "te_request_input_length_count",
        "te_embed_count",
        "te_queue_size",
    }
