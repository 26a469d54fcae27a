import json
import pickle

import numpy as np
import pytest

from instructor_jax.train.data.token_cache import META, CacheKey, ExampleSource, TokenCache


@pytest.fixture
def cache(make_cache, random_examples):
    return make_cache({"a": random_examples("a", 20, (3, 9)), "b": random_examples("b", 7, (3, 9))})


def test_pickles_as_its_path(cache):
    copy = pickle.loads(pickle.dumps(cache))
    assert len(pickle.dumps(cache)) < 1000
    assert copy.tasks == cache.tasks == {"a": range(20), "b": range(20, 27)}
    assert copy.key == cache.key
    assert copy.array("tokens").tolist() == cache.array("tokens").tolist()


def test_lengths_are_those_of_the_texts(cache):
    assert cache.rows.lengths.sum() == len(cache.array("tokens"))
    ends = np.flatnonzero(cache.array("tokens") == 1)  # every text ends with the end-of-sequence token
    assert cache.array("text_ends").tolist() == (ends + 1).tolist()


def test_a_mixture_without_negatives(make_cache, random_examples):
    cache = make_cache({"a": random_examples("a", 4, (3, 9), negatives=0)})
    assert cache.rows.of(np.arange(4), np.zeros(4, np.int64), 1)[:, 2].tolist() == [-1] * 4


def test_damaged_caches_are_refused(cache):
    (cache.folder / "score.bin").write_bytes(b"1234")
    with pytest.raises(ValueError, match=r"score.bin has 4 bytes instead of 108. Delete the folder"):
        TokenCache(cache.folder)
    meta = json.loads((cache.folder / META).read_text())
    (cache.folder / META).write_text(json.dumps(meta | {"format": 0}))
    with pytest.raises(ValueError, match="format 0, not 1"):
        TokenCache(cache.folder)
    (cache.folder / META).unlink()
    with pytest.raises(FileNotFoundError, match="holds no token cache"):
        TokenCache(cache.folder)


def test_keys_name_folders():
    key = CacheKey("mixture", "tokenizer", 512)
    others = [CacheKey("m", "tokenizer", 512), CacheKey("mixture", "t", 512), CacheKey("mixture", "tokenizer", 256),
              CacheKey("mixture", "tokenizer", 512, True)]  # fmt: skip
    assert len({key.name, *(other.name for other in others)}) == 5


def test_the_stored_mixture_is_a_source(tmp_path, random_examples):
    from instructor_jax.train.medi.storage.staging import Staging
    from instructor_jax.train.medi.storage.store import MediStore
    from instructor_jax.train.medi.storage.store_writer import write_store

    staging = Staging(tmp_path / "partial")
    staging.write("a", random_examples("a", 5, (3, 9)), about={})
    write_store(tmp_path / "medi", staging)
    assert isinstance(MediStore(tmp_path / "medi"), ExampleSource)
