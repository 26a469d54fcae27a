"""Cohere's route against the library: roles, kinds of numbers, and errors as its clients read them."""

import base64

import numpy as np
import pytest

from instructor_jax.server.options import ServedOptions

DOCUMENT = "Represent the document for retrieval: "
TEXTS = ["a river bank", "the bank raised its rate", "naïve café ☕"]
CLOSE = 2e-6  # company in a packed row changes the last bits of float32


def post(server, status=200, **body):
    answer = server.client.post("/v2/embed", json={"model": "instructor-jax-default", **body})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_role_brings_the_instruction(server, library):
    answer = post(server, texts=TEXTS, input_type="search_document")
    np.testing.assert_allclose(answer["embeddings"]["float"], library.encode(TEXTS, instruction=DOCUMENT), atol=CLOSE)
    assert answer["texts"] == TEXTS
    assert answer["meta"]["api_version"] == {"version": "2"}
    assert answer["meta"]["tokens"]["input_tokens"] > 3
    own = post(server, texts=TEXTS, input_type="search_query", instruction=DOCUMENT)
    np.testing.assert_allclose(own["embeddings"]["float"], answer["embeddings"]["float"], atol=CLOSE)


def test_several_kinds_at_once(server, library):
    found = post(server, texts=TEXTS, embedding_types=["float", "binary", "ubinary", "base64"])["embeddings"]
    vectors = library.encode(TEXTS)
    np.testing.assert_allclose(found["float"], vectors, atol=CLOSE)
    decoded = [np.frombuffer(base64.b64decode(one), "<f4") for one in found["base64"]]
    np.testing.assert_array_equal(decoded, np.array(found["float"], np.float32))
    packed = np.packbits(np.array(found["float"]) > 0, axis=1)
    np.testing.assert_array_equal(found["ubinary"], packed)
    np.testing.assert_array_equal(np.array(found["binary"]) + 128, packed)


def test_fewer_dimensions(server, library):
    answer = post(server, texts=TEXTS, output_dimension=64)
    np.testing.assert_allclose(answer["embeddings"]["float"], library.encode(TEXTS, truncate_dim=64), atol=CLOSE)


def test_mixed_inputs_that_hold_texts(server, library):
    inputs = [{"content": [{"type": "text", "text": text}]} for text in TEXTS]
    np.testing.assert_allclose(post(server, inputs=inputs)["embeddings"]["float"], library.encode(TEXTS), atol=CLOSE)
    picture = [{"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    assert "pictures" in post(server, 400, inputs=picture)["message"]


@pytest.mark.slow
def test_integers_need_ranges(server, starts, tmp_path):
    assert "int8" in post(server, 400, texts=TEXTS, embedding_types=["int8"])["message"]
    lines = tmp_path / "typical.txt"
    lines.write_text("".join(f"sentence number {k} about {k % 7} things\n" for k in range(200)))
    scaled = starts(served=ServedOptions(device=("cpu:0",), int8_texts=lines))
    found = post(scaled, texts=TEXTS, embedding_types=["float", "int8", "uint8"])["embeddings"]
    low, high = scaled.model.folder.int8_ranges[384]
    step = (high - low) / 255
    inside = np.clip(found["float"], low, high)
    assert {type(number) for one in found["int8"] for number in one} == {int}
    assert (np.abs(low + (np.array(found["int8"]) + 128) * step - inside) <= step * 1.001).all()
    np.testing.assert_array_equal(np.array(found["uint8"]) - 128, found["int8"])


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "texts"),
        ({"texts": []}, 400, "texts"),
        ({"texts": ["a"], "inputs": [{"content": []}]}, 400, "texts"),
        ({"texts": ["a"], "input_type": "poem"}, 400, "input_type"),
        ({"texts": ["a"], "embedding_types": ["double"]}, 400, "embedding_types"),
        ({"texts": ["a"], "truncate": "START"}, 400, "END"),
        ({"texts": ["a"], "max_tokens": 16}, 400, "max_tokens"),
        ({"texts": ["a"], "output_dimension": 10**6}, 400, "384"),
        ({"texts": ["word " * 400], "truncate": "NONE"}, 422, "256"),
        ({"texts": ["a"], "model": "embed-v4.0"}, 404, "embed-v4.0"),
        ({"texts": ["a"] * 2049}, 413, "2,048"),
    ],
)
def test_what_is_refused(server, body, status, said):
    answer = post(server, status, **body)
    assert set(answer) == {"message"}
    assert said in answer["message"]
