"""A sentence-transformers model with random weights and a word-piece vocabulary of the mixture's words: no download."""

from pathlib import Path

from .small_runs import WORDS


def write_teacher(folder: Path, dim: int = 8) -> Path:
    """One BERT layer, mean pooling, unit vectors of `dim` dimensions."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    letters = sorted(set("".join(WORDS)))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{one}" for one in letters)]
    bert = folder.with_name(f"{folder.name}-bert")
    bert.mkdir(parents=True)
    (bert / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * dim,
        initializer_range=0.5,
        max_position_embeddings=64,
    )
    model = BertModel(config)
    with torch.no_grad():  # words decide, not their places
        model.embeddings.position_embeddings.weight.mul_(0.05)
        model.embeddings.token_type_embeddings.weight.mul_(0.05)
    model.save_pretrained(bert)
    AutoTokenizer.from_pretrained(bert).save_pretrained(bert)
    SentenceTransformer(modules=[Transformer(str(bert)), Pooling(dim), Normalize()]).save(str(folder))
    return folder
