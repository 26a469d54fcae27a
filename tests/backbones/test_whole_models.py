"""Files of whole models of which the encoder is a part: what is left out, what is read, and what is written again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.io.folder_writer import write_sentence_transformers
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.other_libraries import sentence_transformer
from instructor_jax.io.weights.names import params_to_torch

from .family_folders import TEXTS, family_folder
from .test_folders import MODELS

transformers = pytest.importorskip("transformers", reason="needs the extra `torch`")
pytest.importorskip("torch", reason="needs the extra `torch`")
pytestmark = pytest.mark.torch

_PART: dict[str, Any] = {
    "vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 8, "intermediate_size": 24, "sliding_window": 5,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["T5GemmaModel", "T5GemmaForConditionalGeneration", "T5GemmaEncoderModel"])
def test_the_encoder_of_an_encoder_decoder(kind: str, tmp_path: Path) -> None:
    config = transformers.T5GemmaConfig(
        encoder=_PART, decoder={**_PART, "num_hidden_layers": 3}, is_encoder_decoder=kind != "T5GemmaEncoderModel"
    )
    model = getattr(transformers, kind)(config)
    model.save_pretrained(tmp_path)
    folder = read_folder(tmp_path)
    found = params_to_torch(folder.config, read_params(folder))
    encoder = (model.model if hasattr(model, "model") else model).encoder
    expected = {f"encoder.{name}": value.numpy() for name, value in encoder.state_dict().items()}
    assert set(found) == set(expected)
    assert all(np.array_equal(found[name], value) for name, value in expected.items())


@pytest.fixture
def multimodal_folder(tmp_path: Path) -> Path:
    """EmbeddingGemma 2 with an encoder of images, as the published folder has it: settings, weights, processor."""
    from safetensors.numpy import load_file, save_file

    kind, config = MODELS["embedding_gemma2"]
    path = family_folder(tmp_path / "text", kind, config)
    text = json.loads((path / "config.json").read_text())
    text["per_layer_config"] = {f"{int(layer):02d}": heads for layer, heads in text["per_layer_config"].items()}
    whole = {
        "architectures": ["EmbeddingGemma2Model"], "model_type": "embedding_gemma2", "text_config": text,
        "vision_config": {"model_type": "gemma4_vision", "hidden_size": 8}, "audio_config": None, "dtype": "float32",
        "boi_token_id": 255999, "eoi_token_id": 258882, "image_token_id": 258880, "video_token_id": 258884,
        "boa_token_id": 256000, "eoa_token_index": 258883, "audio_token_id": 258881, "initializer_range": 0.02,
    }  # fmt: skip
    weights = {f"language_model.{name}": value for name, value in load_file(path / "model.safetensors").items()}
    weights["vision_tower.patch_embedder.input_proj.weight"] = np.ones((2, 3), np.float32)
    weights["embed_audio.embedding_projection.weight"] = np.ones((2, 3), np.float32)
    plain = {"method": "forward", "method_output_name": "last_hidden_state"}
    settings = {
        "modality_config": {"text": plain, "image": plain, "video": plain},
        "module_output_name": "token_embeddings",
    }
    (path / "config.json").write_text(json.dumps(whole))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64, **settings}))
    (path / "processor_config.json").write_text(json.dumps({"processor_class": "EmbeddingGemma2Processor"}))
    save_file(weights, path / "model.safetensors")
    tokenizer = json.loads((path / "tokenizer_config.json").read_text())
    tokenizer |= {
        "backend": "tokenizers", "image_token": "<mask>", "model_specific_special_tokens": {"image_token": "<mask>"},
        "padding_side": "left", "processor_class": "EmbeddingGemma2Processor", "tokenizer_class": "GemmaTokenizer",
        "model_max_length": 1000000000000000019884624838656, "extra_special_tokens": [],
    }  # fmt: skip
    (path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return path


def test_a_multimodal_model_reads_texts(multimodal_folder: Path, tmp_path: Path) -> None:
    import torch

    ours = Instructor(multimodal_folder)
    vectors = ours.encode(list(TEXTS))
    folder = read_folder(multimodal_folder)
    assert folder.config == MODELS["embedding_gemma2"][1]
    # transformers' model with all modalities, without those whose weights are not here
    content = json.loads((multimodal_folder / "config.json").read_text())
    config = transformers.EmbeddingGemma2Config(text_config=content["text_config"])
    model = transformers.EmbeddingGemma2Model(config).eval()
    found = params_to_torch(folder.config, read_params(folder))
    stored = {f"language_model.{name}": torch.from_numpy(value.copy()) for name, value in found.items()}
    missing, unknown = model.load_state_dict(stored, strict=False)
    assert not unknown
    assert not [name for name in missing if "rotary" not in name and "embed_scale" not in name]
    # as a text model in sentence-transformers, written by us
    write_sentence_transformers(tmp_path / "written", folder, read_params(folder))
    theirs = sentence_transformer(tmp_path / "written", local=True)
    for text, vector in zip(TEXTS, vectors, strict=True):
        tokens = theirs.tokenizer(text, truncation=True, max_length=64, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            mean = model(input_ids=tokens).last_hidden_state[0].mean(dim=0).numpy()
        # float32 on both sides, sums in another order
        assert np.abs(mean / np.linalg.norm(mean) - vector).max() <= 1e-5
    assert np.abs(theirs.encode(list(TEXTS)) - vectors).max() <= 1e-5


def test_a_multimodal_model_that_reads_texts_as_chats_is_refused(multimodal_folder: Path) -> None:
    settings = json.loads((multimodal_folder / "sentence_bert_config.json").read_text())
    settings["modality_config"]["message"] = {**settings["modality_config"]["text"], "format": "structured"}
    (multimodal_folder / "sentence_bert_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="modality_config=.*as chats"):
        read_folder(multimodal_folder)
