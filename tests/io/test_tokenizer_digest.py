import pytest

from instructor_jax.io.tokenizers.digest import tokenizer_digest


def test_tokenizer_digest_is_that_of_the_files(tmp_path):
    with pytest.raises(ValueError, match="has no tokenizer file"):
        tokenizer_digest(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    first = tokenizer_digest(tmp_path)
    (tmp_path / "README.md").write_text("not part of it")
    assert tokenizer_digest(tmp_path) == first
    (tmp_path / "tokenizer.json").write_text("{ }")
    assert tokenizer_digest(tmp_path) != first
