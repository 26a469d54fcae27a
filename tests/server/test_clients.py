"""Released clients of other projects against the running server: each must get the library's vectors, unchanged.

A client that is not installed is skipped; the versions that ran stand in the names of the tests' property.
"""

import asyncio
import base64
import importlib.metadata
import threading
from typing import Any

import numpy as np
import pytest

from instructor_jax.server.options import ServedOptions

QUERY = "Represent the question for retrieving supporting documents: "
DOCUMENT = "Represent the document for retrieval: "
TEXTS = ["a river bank", "the bank raised its rate", "naïve café ☕"]
CLOSE = 2e-6  # company in a packed row changes the last bits of float32


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Lets no client reach another host, or tell anybody that it ran."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "ANONYMIZED_TELEMETRY": "False",
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGCHAIN_TRACING_V2": "false",
        "OPENAI_API_KEY": "any",
        "NO_PROXY": "127.0.0.1,localhost",
    }.items():
        monkeypatch.setenv(name, value)
    # Its clients ask only the address that they are given, and refuse even that in offline mode.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def client_of(record_property):
    """Imports a client and notes its version, or skips."""

    def imported(module: str, package: str):
        found = pytest.importorskip(module, reason=f"needs the client {package}")
        record_property(package, importlib.metadata.version(package))
        return found

    return imported


def same(found, expected) -> None:
    np.testing.assert_allclose(np.asarray(found, np.float32), expected, atol=CLOSE)


# --- OpenAI's own client ---


@pytest.fixture
def openai(client_of):
    return client_of("openai", "openai")


def test_openai(openai, server, library):
    with openai.OpenAI(base_url=f"{server.url}/v1") as client:
        for options in ({}, {"encoding_format": "float"}):  # it asks for base64 by itself, and decodes it
            answer = client.embeddings.create(model="instructor-jax-default", input=TEXTS, **options)
            same([one.embedding for one in answer.data], library.encode(TEXTS))
        raw = client.embeddings.create(model="instructor-jax-default", input=TEXTS[0], encoding_format="base64")
        same([np.frombuffer(base64.b64decode(raw.data[0].embedding), "<f4")], library.encode(TEXTS[:1]))
        short = client.embeddings.create(model="instructor-jax-default", input=TEXTS, dimensions=32)
        same([one.embedding for one in short.data], library.encode(TEXTS, truncate_dim=32))
        extra = {"instruction": QUERY, "return_info": True}
        told = client.embeddings.create(model="instructor-jax-default", input=TEXTS, extra_body=extra)
        same([one.embedding for one in told.data], library.encode(TEXTS, instruction=QUERY))
        assert told.instructions == [QUERY] * 3
        assert told.usage.prompt_tokens == sum(told.tokens)
        pairs = client.embeddings.create(model="instructor-jax-default", input=[[QUERY, text] for text in TEXTS])
        same([one.embedding for one in pairs.data], library.encode(TEXTS, instruction=QUERY))
        assert next(model.id for model in client.models.list()) == "instructor-jax-default"
        assert client.models.retrieve("instructor-jax-default/docs").owned_by == "instructor-jax"


def test_openai_waiting_for_several(openai, server, library):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1") as client:
            return await asyncio.gather(
                *(client.embeddings.create(model="docs", input=text) for text in TEXTS for _ in range(4))
            )

    answers = asyncio.run(ask())
    same([one.data[0].embedding for one in answers[::4]], library.encode(TEXTS, instruction=DOCUMENT))


def test_openais_exceptions(openai, server, starts):
    with openai.OpenAI(base_url=f"{server.url}/v1", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(model="instructor-jax-default", input="a", dimensions=9999)
        assert caught.value.type == "invalid_request_error"
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(model="instructor-jax-default", input=[])
        assert caught.value.code == "empty_input"
        with pytest.raises(openai.NotFoundError) as caught:
            client.embeddings.create(model="gpt", input="a")
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.UnprocessableEntityError):
            client.embeddings.create(model="docs", input="word " * 400, extra_body={"truncate": False})
        with pytest.raises(openai.APIStatusError) as caught:
            client.embeddings.create(model="docs", input=["a"] * 3000)
        assert caught.value.status_code == 413
    locked = starts(api_keys=("secret",))
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{locked.url}/v1", api_key="wrong").embeddings.create(model="docs", input="a")
    openai.OpenAI(base_url=f"{locked.url}/v1", api_key="secret").models.list()


def test_openai_tries_again_where_the_server_is_busy(openai, starts):
    server = starts(requests=1)
    server.embed(input="warm")
    server.service.requests = 1

    def finish() -> None:
        server.service.requests = 0

    with openai.OpenAI(base_url=f"{server.url}/v1", max_retries=0) as client, pytest.raises(openai.RateLimitError):
        client.embeddings.create(model="docs", input="a")
    threading.Timer(0.3, finish).start()
    with openai.OpenAI(base_url=f"{server.url}/v1", max_retries=2) as client:
        assert client.embeddings.create(model="docs", input="a").data


# --- Hugging Face ---


def test_huggingface_hub(client_of, server, library):
    hub = client_of("huggingface_hub", "huggingface-hub")
    client = hub.InferenceClient(server.url)
    same(client.feature_extraction(TEXTS[0]), library.encode(TEXTS[:1]))
    same(client.feature_extraction(TEXTS), library.encode(TEXTS))
    same(client.feature_extraction(TEXTS[0], normalize=True, truncate=True), library.encode(TEXTS[:1]))
    with pytest.raises(hub.errors.HfHubHTTPError):
        client.feature_extraction(TEXTS[0], prompt_name="none such")


# --- frameworks ---


def test_langchain_openai(client_of, server, library):
    langchain = client_of("langchain_openai", "langchain-openai")
    options = {"base_url": f"{server.url}/v1", "api_key": "any", "model": "docs"}
    embedder = langchain.OpenAIEmbeddings(check_embedding_ctx_length=False, **options)
    same(embedder.embed_documents(TEXTS), library.encode(TEXTS, instruction=DOCUMENT))
    same([embedder.embed_query(TEXTS[0])], library.encode(TEXTS[:1], instruction=DOCUMENT))


def test_ids_of_another_vocabulary_are_refused_with_the_cure(openai, server):
    # what LangChain sends by default: ids of tiktoken's cl100k_base, which needs the network, here by hand
    client = openai.OpenAI(base_url=f"{server.url}/v1")
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as caught:
        client.embeddings.create(model="docs", input=[[64, 15140, 6201], [1820, 6201, 87101]])
    assert caught.value.code == "foreign_token_ids"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_litellm(client_of, server, library):
    litellm = client_of("litellm", "litellm")
    answer = litellm.embedding(
        model="openai/docs", input=TEXTS, api_base=f"{server.url}/v1", api_key="any", encoding_format="float"
    )
    same([one["embedding"] for one in answer.data], library.encode(TEXTS, instruction=DOCUMENT))
    answer = litellm.embedding(
        model="huggingface/anything", input=TEXTS, api_base=server.url, api_key="any", input_type="feature-extraction"
    )
    same([one["embedding"] for one in answer.data], library.encode(TEXTS))


@pytest.mark.slow
def test_cohere(client_of, server, starts, library, tmp_path):
    cohere = client_of("cohere", "cohere")
    client = cohere.ClientV2(api_key="any", base_url=server.url)
    answer = client.embed(
        model="instructor-jax-default", texts=TEXTS, input_type="search_document", embedding_types=["float", "binary"]
    )
    expected = library.encode(TEXTS, instruction=DOCUMENT)
    same(answer.embeddings.float_, expected)
    np.testing.assert_array_equal(np.array(answer.embeddings.binary) + 128, np.packbits(expected > 0, axis=1))
    with pytest.raises(cohere.BadRequestError):
        client.embed(model="instructor-jax-default", texts=TEXTS, input_type="x", embedding_types=["float"])
    lines = tmp_path / "typical.txt"
    lines.write_text("".join(f"sentence number {k}\n" for k in range(200)))
    scaled = starts(served=ServedOptions(device=("cpu:0",), int8_texts=lines))
    client = cohere.ClientV2(api_key="any", base_url=scaled.url)
    answer = client.embed(
        model="instructor-jax-default", texts=TEXTS, input_type="search_query", embedding_types=["int8"]
    )
    assert len(answer.embeddings.int8[0]) == 384


def test_llama_index_openai(client_of, server, library):
    module = client_of("llama_index.embeddings.openai", "llama-index-embeddings-openai")
    embedder = module.OpenAIEmbedding(api_base=f"{server.url}/v1", api_key="any", model_name="docs")
    same(embedder.get_text_embedding_batch(TEXTS), library.encode(TEXTS, instruction=DOCUMENT))


def test_llama_index_tei(client_of, server, library):
    module = client_of(
        "llama_index.embeddings.text_embeddings_inference", "llama-index-embeddings-text-embeddings-inference"
    )
    embedder = module.TextEmbeddingsInference(model_name="any", base_url=server.url)
    same(embedder.get_text_embedding_batch(TEXTS), library.encode(TEXTS))
    same([embedder.get_query_embedding(TEXTS[0])], library.encode(TEXTS[:1]))


def test_haystack_openai(client_of, server, library):
    client_of("haystack", "haystack-ai")
    from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
    from haystack.dataclasses import Document

    options: dict[str, Any] = {"api_base_url": f"{server.url}/v1", "model": "docs"}
    same([OpenAITextEmbedder(**options).run(TEXTS[0])["embedding"]], library.encode(TEXTS[:1], instruction=DOCUMENT))
    embedder = OpenAIDocumentEmbedder(**options, progress_bar=False)
    documents = embedder.run([Document(content=text) for text in TEXTS])["documents"]
    same([document.embedding for document in documents], library.encode(TEXTS, instruction=DOCUMENT))


def test_haystack_tei(client_of, server, library):
    embedders = client_of("haystack_integrations.components.embedders.huggingface_api", "huggingface-api-haystack")
    options = {"api_type": "text_embeddings_inference", "api_params": {"url": server.url}, "token": None}
    same([embedders.HuggingFaceAPITextEmbedder(**options).run(TEXTS[0])["embedding"]], library.encode(TEXTS[:1]))


def test_chroma(client_of, server, library):
    client_of("chromadb", "chromadb")
    from chromadb.utils import embedding_functions as functions

    openai = functions.OpenAIEmbeddingFunction(api_key="any", api_base=f"{server.url}/v1", model_name="docs")
    same(openai(TEXTS), library.encode(TEXTS, instruction=DOCUMENT))
    same(functions.HuggingFaceEmbeddingServer(url=f"{server.url}/embed")(TEXTS), library.encode(TEXTS))
