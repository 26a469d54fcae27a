"""Whatever a model folder holds and standard input says: none of its Python runs, and nothing is asked."""

import builtins
import io
import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from instructor_jax.io.other_libraries import (
    auto_tokenizer,
    causal_language_model,
    refuse_own_code,
    sentence_transformer,
)
from instructor_jax.io.tokenizers.folders import load_token_ids

from ..small_models import tokenizer_folder

EVIL = """
open({marker!r}, "w").write("x")
from transformers import PreTrainedConfig, PreTrainedTokenizer
class EvilConfig(PreTrainedConfig):
    model_type = "evil"
class EvilTokenizer(PreTrainedTokenizer):
    pass
class EvilModule:
    load = classmethod(lambda cls, *args, **kwargs: cls())
"""
T5 = {"model_type": "t5", "architectures": ["T5EncoderModel"], "vocab_size": 600}
TRANSFORMER = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}


class Payload:
    """Writes the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.write_text, (self.marker, "x")


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that code of a folder would write; a yes to every question waits on standard input."""
    path = tmp_path / "MARKER"
    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\ny\ny\n"))
    monkeypatch.setattr(builtins, "input", lambda prompt="": asked.append(prompt) or "y")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    yield path
    assert not path.exists(), "code of the folder was run"
    assert not asked, f"the user was asked: {asked}"
    assert sys.stdin.read() == "y\ny\ny\n", "something was read from standard input"


@pytest.fixture
def evil(tmp_path: Path, marker: Path) -> Callable[..., Path]:
    """Makes a folder with a tokenizer, Python files that write the marker, and JSON files as given."""

    def make(files: dict[str, Any], *, tokenizer: bool = False) -> Path:
        folder = tokenizer_folder(tmp_path / "model")
        if not tokenizer:
            (folder / "tokenizer.json").unlink()
        code = EVIL.format(marker=str(marker))
        for name in (
            "evil.py",
            "tokenizer.py",
            "configuration_evil.py",
            "tokenization_evil.py",
            "custom_generate/generate.py",
        ):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(code)
        for name, content in {"config.json": T5, **files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(content))
        return folder

    return make


CODE = {
    "auto_map of a configuration": {"config.json": {"auto_map": {"AutoConfig": "evil.EvilConfig"}}},
    "with a model type": {"config.json": {**T5, "auto_map": {"AutoConfig": "evil.EvilConfig"}}},
    "with an unknown model type": {
        "config.json": {"model_type": "evil", "auto_map": {"AutoConfig": "evil.EvilConfig"}}
    },
    "auto_map of a tokenizer": {
        "tokenizer_config.json": {
            "auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}, "tokenizer_class": "EvilTokenizer"
        }
    },
    "auto_map as a list": {"tokenizer_config.json": {"auto_map": ["evil.EvilTokenizer", None]}},
    "auto_map of another repository": {
        "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["somebody/else--evil.EvilTokenizer", None]}}
    },
    "auto_map of a processor": {"processor_config.json": {"auto_map": {"AutoProcessor": "evil.EvilTokenizer"}}},
    "auto_map within": {"config.json": {**T5, "encoder": {"auto_map": {"AutoConfig": "evil.EvilConfig"}}}},
    "auto_map of generation": {"generation_config.json": {"auto_map": {"AutoConfig": "evil.EvilConfig"}}},
    "custom pipelines": {"config.json": {**T5, "custom_pipelines": {"x": {"impl": "evil.EvilModule"}}}},
    "compiled code of the hub": {"config.json": {**T5, "attn_implementation": "somebody/kernel"}},
    "compiled code, written another way": {"config.json": {**T5, "_attn_implementation": "somebody/kernel@main:run"}},
    "compiled code in a module's settings": {
        "sentence_bert_config.json": {"model_args": {"attn_implementation": "somebody/kernel"}}
    },
    "an adapter of another model": {
        "adapter_config.json": {"base_model_name_or_path": "somebody/model", "peft_type": "LORA"}
    },
}  # fmt: skip
MODULES = {
    "a module beside": "evil.EvilModule",
    "a module of Python": "os.path.join",
    "a prefix that is not one": "sentence_transformers_evil.EvilModule",
    "a helper of the package": "sentence_transformers.util.tensor.torch",
    "a function of the package": "sentence_transformers.util.import_from_string",
    "a way out": "sentence_transformers.models.Transformer.__init__.__globals__",
    "no name": None,
    "a number": 3,
}


@pytest.mark.parametrize("kind", CODE)
@pytest.mark.parametrize("tokenizer", [False, True])
def test_folders_that_name_code_are_refused(evil: Callable[..., Path], kind: str, tokenizer: bool) -> None:
    folder = evil(CODE[kind], tokenizer=tokenizer)
    with pytest.raises(ValueError, match="never run here|never fetched|would be fetched"):
        refuse_own_code(folder)
    for door in (auto_tokenizer, causal_language_model, sentence_transformer):
        with pytest.raises(ValueError, match="never run here|never fetched|would be fetched"):
            door(folder, local=True)


@pytest.mark.parametrize("kind", MODULES)
def test_classes_that_modules_name_are_not_imported(evil: Callable[..., Path], kind: str) -> None:
    folder = evil({"modules.json": [TRANSFORMER, {"idx": 1, "name": "1", "path": "x", "type": MODULES[kind]}]})
    with pytest.raises(ValueError, match=r"modules.json names the class .* never imported here"):
        sentence_transformer(folder, local=True)


@pytest.mark.parametrize("path", ["../model", "/etc", "a/../../b"])
def test_modules_do_not_lead_out_of_the_folder(evil: Callable[..., Path], path: str) -> None:
    with pytest.raises(ValueError, match="leads out of the folder"):
        sentence_transformer(evil({"modules.json": [{**TRANSFORMER, "path": path}]}), local=True)


@pytest.mark.parametrize("place", ["0_Transformer", "deep/inside"])
def test_code_in_a_modules_own_folder_is_found(evil: Callable[..., Path], place: str) -> None:
    files = {
        "modules.json": [{**TRANSFORMER, "path": place}],
        f"{place}/config.json": {"auto_map": {"AutoConfig": "evil.EvilConfig"}},
    }
    with pytest.raises(ValueError, match="never run here"):
        sentence_transformer(evil(files), local=True)


@pytest.mark.parametrize("door", [auto_tokenizer, causal_language_model, sentence_transformer])
@pytest.mark.parametrize("config", [{}, {"model_type": 3}, {"model_type": None}, {"architectures": ["EvilModule"]}])
def test_a_configuration_without_a_type_is_refused(
    evil: Callable[..., Path], door: Callable[..., Any], config: dict
) -> None:
    with pytest.raises(ValueError, match="model_type"):
        door(evil({"config.json": config}), local=True)


@pytest.mark.parametrize(
    "name", ["evil", "evil.EvilTokenizer", "EvilTokenizer", "tokenizer.EvilTokenizer", "../evil", "os.system", ""]
)
def test_a_tokenizer_class_is_one_of_a_list(evil: Callable[..., Path], name: str) -> None:
    folder = evil({"tokenizer_config.json": {"tokenizer_class": name}}, tokenizer=True)
    if name:
        with pytest.raises(ValueError, match=r"has tokenizer_class='.*'; known are T5Tokenizer"):
            load_token_ids(folder)
    else:  # says nothing
        assert load_token_ids(folder)([""]) == [[1]]


@pytest.mark.parametrize("kind", [kind for kind in CODE if "tokenizer_config.json" in CODE[kind]])
@pytest.mark.parametrize("tokenizer", [False, True])
def test_the_tokenizer_of_a_folder_runs_nothing(evil: Callable[..., Path], kind: str, tokenizer: bool) -> None:
    with pytest.raises(ValueError, match="auto_map|tokenizer_class"):
        load_token_ids(evil(CODE[kind], tokenizer=tokenizer))


def test_python_files_that_nothing_names_are_left_alone(evil: Callable[..., Path]) -> None:
    folder = evil({"tokenizer_config.json": {"tokenizer_class": "ByT5Tokenizer"}})
    assert load_token_ids(folder)(["a"]) == [[ord("a") + 3, 1]]
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ValueError, match="has no tokenizer"):
        load_token_ids(folder)


@pytest.mark.torch
@pytest.mark.parametrize("door", [causal_language_model, sentence_transformer])
def test_pickled_weights_run_nothing(evil: Callable[..., Path], marker: Path, door: Callable[..., Any]) -> None:
    pytest.importorskip("torch")
    sizes = {
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 16,
        "num_layers": 1,
        "num_heads": 2,
        "is_decoder": door is causal_language_model,
    }
    folder = evil({"config.json": {**T5, **sizes}}, tokenizer=True)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"shared.weight": Payload(marker)}))
    with pytest.raises(ValueError, match="cannot load|can load"):
        door(folder, local=True)


# Where the sources may load what another library made, and why that is safe.
ALLOWED = {
    "instructor_jax/io/other_libraries.py": "the door",
    "convert/verify.py": "trust_remote_code=False, safetensors only, a class of transformers chosen by us",
    "instructor_jax/io/weights/adapter_config.py": "advice in a message",
    "instructor_jax/io/weights/adapters.py": "advice in a message",
    "instructor_jax/io/weights/torch_files.py": "advice in a message",
    "instructor_jax/io/weights/torch_pickle.py": "advice in a message",
    "train/run/model_card.py": "an example in a text",
}  # fmt: skip
# Calls that run what a file says, or may: unpickling, unsafe YAML, evaluation, and other libraries' loaders.
LOADERS = re.compile(
    r"(?<!Instructor)(?<!INSTRUCTOR)(?<!cls)\.from_pretrained\(|\b(SentenceTransformer|CrossEncoder|SparseEncoder|pipeline)\("
    r"(?!chunks|numbered)|pickle\.(load|Unpickler)|torch\.load\(|yaml\.(load|unsafe_load|full_load)|joblib\.load|dill\.load"
    r"|marshal\.load|shelve\.open|hub\.load\(|(?<![.\w])(eval|exec)\("
)


def test_every_loader_of_foreign_models_has_a_reason(repository: Path) -> None:
    found = {}
    for folder in ("instructor_jax", "train", "convert"):
        for file in sorted((repository / folder).rglob("*.py")):
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if LOADERS.search(line)]
            lines = [line for line in lines if "def " not in line and "self._pipeline(" not in line]
            if lines:
                found[file.relative_to(repository).as_posix()] = lines
    assert set(found) <= set(ALLOWED), {name: found[name] for name in set(found) - set(ALLOWED)}
    for name in ("instructor_jax/io/other_libraries.py", "convert/verify.py"):
        text = (repository / name).read_text(encoding="utf-8")
        for call in re.findall(r"(?:\.from_pretrained|SentenceTransformer)\((?!\))[^()]*(?:\([^()]*\)[^()]*)*\)", text):
            assert "trust_remote_code=False" in call, f"{name}: {call}"


def test_numpy_never_unpickles(repository: Path) -> None:
    for folder in ("instructor_jax", "train", "convert"):
        for file in sorted((repository / folder).rglob("*.py")):
            assert "allow_pickle=True" not in file.read_text(encoding="utf-8"), file  # the default is False


def test_imports_by_name_are_of_names_in_the_source(repository: Path) -> None:
    allowed = {  # their own tables
        "instructor_jax/__init__.py",
        "instructor_jax/backbones/registry.py",
        "instructor_jax/cli.py",
        "instructor_jax/config.py",
        "instructor_jax/losses/__init__.py",
        "train/__init__.py",
    }
    for folder in ("instructor_jax", "train", "convert"):
        for file in sorted((repository / folder).rglob("*.py")):
            name = file.relative_to(repository).as_posix()
            if re.search(r"import_module\(|__import__\(", file.read_text(encoding="utf-8")):
                assert name in allowed, f"{name} imports a module by a name"
