"""Names to folders, without a network: a hand-made cache, and a stand-in for the hub that serves a list of files."""

import fnmatch
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from instructor_jax.io.hub import resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
]
SETTINGS = ("config.json", "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model")
FOLDERS = ("1_Pooling/config.json", "2_Dense/config.json")
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
UNUSED = (
    "README.md",
    "tf_model.h5",
    "rust_model.ot",
    "onnx/model.onnx",
    "checkpoint-500/model.safetensors",
    "train.py",
)


def write_file(path: Path, modules: list[dict] = MODULES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(modules if path.name == "modules.json" else {}))


class Hub:
    """Serves one repository in place of `huggingface_hub.snapshot_download`."""

    def __init__(self, root: Path, files: tuple[str, ...]) -> None:
        self.root, self.files, self.calls, self.modules = root / "snapshot", files, 0, MODULES

    def __call__(self, repository: str, *, allow_patterns: list[str], **options: object) -> str:
        assert repository == "org/model"
        assert options == {"revision": "v1", "cache_dir": None, "local_files_only": False, "token": None}
        self.calls += 1
        self.root.mkdir(exist_ok=True)
        for file in self.files:
            if any(fnmatch.fnmatchcase(file, pattern) for pattern in allow_patterns):  # as the library does it
                write_file(self.root / file, self.modules)
        return str(self.root)

    @property
    def served(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hub]:
    def install(*files: str) -> Hub:
        hub = Hub(tmp_path, files)
        monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
        return hub

    return install


@pytest.mark.parametrize(
    ("weights", "unused", "calls"),
    [
        (("model.safetensors", "2_Dense/model.safetensors"), ("pytorch_model.bin", "2_Dense/pytorch_model.bin"), 1),
        (("model.safetensors", "2_Dense/pytorch_model.bin"), ("pytorch_model.bin", "flax_model.msgpack"), 2),
        (("pytorch_model.bin", "2_Dense/pytorch_model.bin"), ("flax_model.msgpack",), 2),
        (
            (*SHARDS, "model.safetensors.index.json", "2_Dense/model.safetensors"),
            ("pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"),
            1,
        ),
        (("flax_model.msgpack", "2_Dense/pytorch_model.bin"), ("tf_model.h5",), 3),
    ],
)
def test_fetches_one_set_of_weights(
    serve: Callable[..., Hub], weights: tuple[str, ...], unused: tuple[str, ...], calls: int
) -> None:
    wanted = {*SETTINGS, *TOKENIZER, *FOLDERS, *weights}
    hub = serve(*wanted, *unused, *UNUSED)
    assert resolve_model("org/model", revision="v1") == hub.root
    assert hub.served == wanted
    assert hub.calls == calls


@pytest.mark.parametrize("encoder", ["0_Transformer", "encoder", "parts/encoder"])
def test_an_encoder_in_a_folder_of_its_own_comes_whole(serve: Callable[..., Hub], encoder: str) -> None:
    settings = ("config.json", "sentence_bert_config.json", *TOKENIZER, "chat_template.jinja", "processor_config.json")
    wanted = {"modules.json", "1_Pooling/config.json", *(f"{encoder}/{name}" for name in settings)}
    weights = {f"{encoder}/pytorch_model.bin", "2_Dense/model.safetensors"}
    hub = serve(*wanted, *weights, f"{encoder}/flax_model.msgpack", *UNUSED)
    hub.modules = [{**MODULES[0], "path": encoder}, *MODULES[1:]]
    resolve_model("org/model", revision="v1")
    assert hub.served == wanted | weights


def test_the_original_packages_folders_and_adapters_come(serve: Callable[..., Hub]) -> None:
    modules = [{**module, "type": "InstructorEmbedding.instructor"} for module in MODULES[:2]] + MODULES[2:]
    modules[1]["path"] = "1_INSTRUCTOR_Pooling"
    wanted = {"config.json", "modules.json", "1_INSTRUCTOR_Pooling/config.json", "model.safetensors"}
    wanted |= {"2_Dense/model.safetensors", "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}
    hub = serve(*wanted, *UNUSED)
    hub.modules = modules
    resolve_model("org/model", revision="v1")
    assert hub.served == wanted


def test_a_plain_t5_repository_has_no_modules(serve: Callable[..., Hub]) -> None:
    hub = serve("config.json", "tokenizer.json", "pytorch_model.bin", *UNUSED)
    resolve_model("org/model", revision="v1")
    assert hub.served == {"config.json", "tokenizer.json", "pytorch_model.bin"}


def test_our_own_folder_comes_whole(serve: Callable[..., Hub]) -> None:
    wanted = {"instructor_jax.json", "int8_ranges.json", "tokenizer.json", "params/_METADATA", "params/d/0/1"}
    hub = serve(*wanted, *UNUSED, "other/params/d")
    resolve_model("org/model", revision="v1")
    assert hub.served == wanted


def test_an_existing_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model(tmp_path) == tmp_path
    assert resolve_model(str(tmp_path)) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model("~") == tmp_path


def make_cache(cache: Path, files: tuple[str, ...]) -> Path:
    """What a download of `org/model` leaves behind: a ref that names a commit, and the commit's snapshot."""
    repository = cache / "models--org--model"
    for file in files:
        write_file(repository / "snapshots" / COMMIT / file)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return repository / "snapshots" / COMMIT


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("revision", [None, COMMIT])
def test_the_cache_serves_offline(tmp_path: Path, weights: str, revision: str | None) -> None:
    snapshot = make_cache(tmp_path, (*SETTINGS, weights, "2_Dense/pytorch_model.bin"))
    for local_files_only in (True, False):  # HF_HUB_OFFLINE is set for all tests
        found = resolve_model("org/model", revision=revision, cache_dir=tmp_path, local_files_only=local_files_only)
        assert found == snapshot


@pytest.mark.parametrize("local_files_only", [True, False])
@pytest.mark.parametrize("revision", [None, "other-branch"])
def test_what_the_cache_lacks_is_one_line(tmp_path: Path, local_files_only: bool, revision: str | None) -> None:
    if revision:
        make_cache(tmp_path, SETTINGS)
    with pytest.raises(OSError, match=r"'org/model'.* is not in the local cache.* give the path") as caught:
        resolve_model("org/model", revision=revision, cache_dir=tmp_path, local_files_only=local_files_only)
    assert "\n" not in str(caught.value)


ODD_NAMES = [
    "a\nb",
    "a\x1b[31mb",
    "a\x00b",
    "a" * 5000,
    "/" + "a" * 300,
    "a/" * 3000,
    "\ud800",
    "\u202ea/b",
    " ",
    "\t",
    "org/..",
]


@pytest.mark.parametrize("name", ["", "a/b/c", "./absent", "/absent/folder", "two words", "~absent/x", *ODD_NAMES])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="neither an existing folder nor a hub name") as caught:
        resolve_model(name)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize("name", [None, 3, b"bytes", ["a"], 2.5, True])
def test_what_is_no_name_is_refused(unchecked: None, name: Any) -> None:
    with pytest.raises(ValueError, match="a model is named by a text or a path, not by "):
        resolve_model(name)


@pytest.mark.parametrize("name", ["new\nline", "-dash", "\x1b[31m", " ", "\u202e"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert resolve_model(tmp_path / name) == tmp_path / name


def test_a_package_may_carry_the_model(carrier: tuple[Path, Path]) -> None:
    assert resolve_model("package:carrier-of-tiny") == carrier[0]
    with pytest.raises(ValueError, match="but 'package:carrier-of-tiny' is a packaged model; leave it out"):
        resolve_model("package:carrier-of-tiny", revision="v2")


@pytest.mark.parametrize("name", ["package:", "package:no-such-carrier", "package:../etc", "package:\x1b[31m"])
def test_a_package_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(ValueError, match="is not installed: pip install") as caught:
        resolve_model(name)
    assert str(caught.value).isprintable()


def test_a_revision_of_what_is_not_on_the_hub_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="revision='v2' is for models on the hub, but 'default' is a packaged model"):
        resolve_model("default", revision="v2")
    with pytest.raises(ValueError, match="is a folder; leave it out"):
        resolve_model(tmp_path, revision="v2")


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match=f"is a file; give the model's folder, {tmp_path}"):
        resolve_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "content", ['{"path": 1}', "[3]", '[{"path": "x"}]', "[", '[{"path": 1, "type": 2}]', "[" * 9999]
)
def test_a_broken_list_of_modules_is_refused(tmp_path: Path, content: str) -> None:
    snapshot = make_cache(tmp_path, ("config.json",))
    (snapshot / "modules.json").write_text(content)
    with pytest.raises(ValueError, match=r"modules\.json"):
        resolve_model("org/model", cache_dir=tmp_path)


def test_answers_of_the_hub_become_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import errors

    class Response:
        headers: dict[str, str] = {}  # noqa: RUF012
        request, status_code = None, 500

    for kind, message in (
        (errors.RepositoryNotFoundError, "no public model of that name"),
        (errors.GatedRepoError, "asks for consent"),
        (errors.RevisionNotFoundError, "not its revision 'v1'"),
        (errors.HfHubHTTPError, "could not serve 'org/model' at revision 'v1': first line"),
    ):

        def fail(*args: object, kind: type = kind, **options: object) -> str:
            raise kind("first line\nsecond line", response=Response())

        monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
        with pytest.raises(OSError, match=message) as caught:
            resolve_model("org/model", revision="v1")
        assert "\n" not in str(caught.value)


def test_a_folder_needs_no_hub_library(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = f"import sys; from instructor_jax.io.hub import resolve_model; resolve_model({str(tmp_path)!r})"
    check = "; print('huggingface_hub' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script + check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
