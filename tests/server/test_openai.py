"""OpenAI's routes against the library: vectors, an instruction for every text, and errors as clients read them."""

import base64
import concurrent.futures
import gzip
import json

import numpy as np
import pytest

QUERY = "Represent the question for retrieving supporting documents: "
TEXTS = ["a river bank", "the bank raised its rate", "", "naïve café ☕", "word " * 400]
# Company in a packed row changes the last bits of float32; 2e-6 is what the library promises for that.
CLOSE = 2e-6


def vectors(answer) -> np.ndarray:
    assert [one["index"] for one in answer["data"]] == list(range(len(answer["data"])))
    return np.array([one["embedding"] for one in answer["data"]], np.float32)


def test_texts(server, library):
    answer = server.embed(input=TEXTS)
    assert answer["object"] == "list"
    assert answer["model"] == "instructor-jax-default"
    np.testing.assert_allclose(vectors(answer), library.encode(TEXTS), atol=CLOSE)


def test_usage_counts_the_tokens_that_were_read(server, library):
    _, info = library.encode(TEXTS, instruction=QUERY, return_info=True)
    tokens = int(np.minimum(info.token_counts, library.config.max_length).sum())
    assert server.embed(input=TEXTS, instruction=QUERY)["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


@pytest.mark.parametrize(
    "body",
    [
        {"input": [[QUERY, text] for text in TEXTS]},
        {"input": [{"text": text, "instruction": QUERY} for text in TEXTS]},
        {"input": TEXTS, "instruction": QUERY},
        {"input": TEXTS, "instruction": [QUERY] * len(TEXTS)},
        {"input": TEXTS, "input_type": "query"},
        {"input": TEXTS, "input_type": "search_query"},
        {"input": [{"text": text, "instruction": QUERY} for text in TEXTS], "instruction": "Another: "},
        {"input": TEXTS, "instruction": QUERY, "input_type": "document", "model": "docs"},
    ],
    ids=["pairs", "objects", "request", "each", "role", "other_name", "item_wins", "request_wins"],
)
def test_instructions(server, library, body):
    np.testing.assert_allclose(vectors(server.embed(**body)), library.encode(TEXTS, instruction=QUERY), atol=CLOSE)


@pytest.mark.parametrize("name", ["docs", "instructor-jax-default/docs"])
def test_an_alias_brings_its_instruction(server, library, name):
    expected = library.encode(TEXTS, instruction="Represent the document for retrieval: ")
    np.testing.assert_allclose(vectors(server.embed(input=TEXTS, model=name)), expected, atol=CLOSE)


@pytest.mark.slow
def test_token_ids(server, library):
    ids = [library.tokenizer._token_ids([text])[0] for text in TEXTS[:2]]
    np.testing.assert_allclose(vectors(server.embed(input=ids)), library.encode(TEXTS[:2]), atol=CLOSE)
    without_end = [one[:-1] for one in ids]
    np.testing.assert_allclose(vectors(server.embed(input=without_end)), library.encode(TEXTS[:2]), atol=CLOSE)
    np.testing.assert_allclose(vectors(server.embed(input=ids[0])), library.encode(TEXTS[:1]), atol=CLOSE)
    with_instruction = server.embed(input=ids, instruction=QUERY)
    np.testing.assert_allclose(vectors(with_instruction), library.encode(TEXTS[:2], instruction=QUERY), atol=1e-5)


def test_dimensions_and_base64(server, library):
    answer = server.embed(input=TEXTS, dimensions=64, encoding_format="base64")
    found = np.array([np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in answer["data"]])
    np.testing.assert_allclose(found, library.encode(TEXTS, truncate_dim=64), atol=CLOSE)


def test_a_request_may_ask_what_was_used_and_cut(server):
    answer = server.embed(input=["short", "word " * 400], instruction=QUERY, return_info=True)
    assert answer["instructions"] == [QUERY, QUERY]
    assert answer["truncated"] == [False, True]
    assert answer["tokens"][1] == 256


def test_unknown_fields_and_user_are_ignored(server):
    server.embed(input="a", user="somebody", seed=3)


def test_a_compressed_body(server):
    body = gzip.compress(json.dumps({"input": "a"}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert server.client.post("/embeddings", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "input"),
        ({"input": []}, 400, "empty"),
        ({"input": None}, 400, "null"),
        ({"input": 3}, 400, "a number"),
        ({"input": ["a", 3]}, 400, r"input\[1\]"),
        ({"input": [["a", "b", "c"]]}, 400, r"input\[0\]"),
        ({"input": [{"txt": "a"}]}, 400, r"input\[0\]"),
        ({"input": ["a", [3, 4]]}, 400, "mixed"),
        ({"input": [[10**6]]}, 400, "check_embedding_ctx_length"),
        ({"input": [[-1]]}, 400, "-1"),
        ({"input": [10**400]}, 400, "."),
        ({"input": "a", "dimensions": 0}, 400, "dimensions"),
        ({"input": "a", "dimensions": 385}, 400, "384"),
        ({"input": "a", "dimensions": True}, 400, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, 400, "encoding_format"),
        ({"input": "a", "model": "gpt-4"}, 404, "gpt-4"),
        ({"input": "a", "instruction": ["x", "y"]}, 400, "1 texts"),
        ({"input": "a", "prompt_name": "query"}, 400, "prompt_name"),
        ({"input": "a", "input_type": "poem"}, 400, "input_type"),
        ({"input": "\ud800"}, 400, "surrogate"),
        ({"input": "word " * 400, "truncate": False}, 422, "256"),
        ({"input": ["a"] * 2049}, 413, "2,048"),
    ],
)
def test_what_is_refused(server, body, status, said):
    answer = server.client.post(
        "/v1/embeddings", content=json.dumps(body).encode("ascii"), headers={"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert pytest.importorskip("re").search(said, error["message"])
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b'{"input": NaN}', b"\xff\xfe", b'{"a": 1' + b"0" * 5000 + b"}"]
)
def test_bodies_that_are_no_request(server, content):
    answer = server.client.post("/v1/embeddings", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"]


def test_models_are_listed(server):
    names = [one["id"] for one in server.client.get("/v1/models").json()["data"]]
    assert names == ["instructor-jax-default", "instructor-jax-default/docs", "instructor-jax-default/topics"]
    assert server.client.get("/v1/models/instructor-jax-default/docs").json()["id"] == names[1]
    assert server.client.get("/v1/models/gpt-4").json()["error"]["code"] == "model_not_found"


@pytest.mark.slow
def test_2048_texts_in_one_request_and_many_at_once(server, library):
    texts = [f"number {k} " * (k % 4 + 1) for k in range(2048)]
    expected = library.encode(texts)
    np.testing.assert_allclose(vectors(server.embed(input=texts)), expected, atol=CLOSE)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda k: vectors(server.embed(input=texts[k : k + 3])), range(0, 192, 3)))
    np.testing.assert_allclose(np.concatenate(found), expected[:192], atol=CLOSE)


@pytest.mark.slow
def test_deterministic_gives_the_librarys_bits(starts, library):
    server = starts(deterministic=True)
    texts = [f"text number {k} " * (k % 13 + 1) for k in range(50)]
    np.testing.assert_array_equal(vectors(server.embed(input=texts)), library.encode(texts))
    assert server.client.post("/embed", json={"inputs": "a"}).status_code == 200
