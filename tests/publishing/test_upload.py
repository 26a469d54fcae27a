"""Uploads to a hub that is made here: which files are sent, what is refused, and how the hub's answers are told."""

import shutil
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from instructor_jax import Instructor
from instructor_jax.io.folders import read_folder
from instructor_jax.publishing.card import CARD, folder_card
from instructor_jax.publishing.upload import Upload, parts_of, upload

from ..commands.conftest import fails, fake, run  # noqa: F401 - fixtures


class Hub:
    """What the library calls of `huggingface_hub.HfApi`, with the repositories in memory."""

    def __init__(self, existing: tuple[str, ...] = (), token: str | None = None, library_name: str = "") -> None:
        self.repositories: dict[str, dict[str, bytes]] = {name: {CARD: b"old"} for name in existing}
        self.branches: list[str] = []
        self.calls: list[dict[str, Any]] = []

    def create_repo(self, repo_id: str, *, private: bool | None = None, exist_ok: bool = False) -> None:
        if repo_id in self.repositories and not exist_ok:
            raise refusal(409, "You already created this model repo")
        self.repositories.setdefault(repo_id, {})
        self.calls.append({"private": private})

    def create_branch(self, repo_id: str, *, branch: str, exist_ok: bool = False) -> None:
        self.branches.append(branch)

    def create_commit(self, repo_id: str, operations: list[Any], **options: Any) -> Any:
        for operation in operations:
            with operation.as_file() as file:
                self.repositories[repo_id][operation.path_in_repo] = file.read()
        self.calls.append(options)

        class Commit:
            commit_url = f"https://hub/{repo_id}/commit/1"
            pr_url = f"https://hub/{repo_id}/discussions/1" if options["create_pr"] else None

        return Commit


def refusal(status: int, message: str) -> Exception:
    """The error by which the hub's library tells a refusal."""
    from huggingface_hub.errors import HfHubHTTPError

    response = types.SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError(message, response=response)  # type: ignore[arg-type]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A model's folder in which somebody worked."""
    copy = tmp_path / "model"
    shutil.copytree(tiny_folder, copy)
    for name in (".env", "notes.txt", "vectors.npy", ".cache/secret.json", "checkpoint-10/optimizer.safetensors"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("not for others")
    (copy / CARD).unlink(missing_ok=True)
    return copy


def test_what_is_sent_opens_as_the_same_model(folder: Path, tmp_path: Path) -> None:
    hub = Hub()
    assert upload(folder, "me/mine", api=hub) == "https://hub/me/mine/commit/1"
    sent = hub.repositories["me/mine"]
    assert not [name for name in sent if b"not for others" in sent[name]]
    for name, content in sent.items():
        (tmp_path / "there" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "there" / name).write_bytes(content)
    one, other = (Instructor.from_pretrained(place, tokens_per_call=512) for place in (folder, tmp_path / "there"))
    assert (one.encode(["a river"]) == other.encode(["a river"])).all()


def test_a_folder_without_a_card_gets_one_that_the_hub_reads(folder: Path) -> None:
    from huggingface_hub import ModelCard

    hub = Hub()
    upload(folder, "me/mine", api=hub)
    card = ModelCard(hub.repositories["me/mine"][CARD].decode())
    told = card.data.to_dict()
    assert told["library_name"] == "sentence-transformers"
    assert "instructor-jax" in told["tags"]
    assert 'from_pretrained("me/mine")' in card.text
    assert f"{read_folder(folder).config.embedding_dim} dimensions" in card.text


def test_a_card_that_is_there_is_kept(folder: Path) -> None:
    (folder / CARD).write_text("my own words")
    hub = Hub()
    upload(folder, "me/mine", api=hub)
    assert hub.repositories["me/mine"][CARD] == b"my own words"


def test_names_in_a_card_are_not_markup(tiny_folder: Path) -> None:
    card = folder_card(read_folder(tiny_folder), 'me/<img src=x>"; import os')
    assert "<img" not in card.split("```")[0].replace("\\<img", "")  # escaped, as Markdown has it


def test_a_repository_that_exists_is_left_alone_unless_allowed(folder: Path) -> None:
    hub = Hub(existing=("me/mine",))
    with pytest.raises(ValueError, match="me/mine exists already"):
        upload(folder, "me/mine", api=hub)
    assert hub.repositories["me/mine"] == {CARD: b"old"}
    upload(folder, "me/mine", Upload(exist_ok=True, revision="next", private=True), api=hub)
    assert hub.branches == ["next"]
    assert {"private": True} in hub.calls
    assert "model.safetensors" in hub.repositories["me/mine"]


def test_a_pull_request(folder: Path) -> None:
    hub = Hub(existing=("me/mine",))
    assert upload(folder, "me/mine", Upload(create_pr=True), api=hub) == "https://hub/me/mine/discussions/1"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refusal(403, "Forbidden"), "the hub does not let you write to me/mine: run 'hf auth login'"),
        (refusal(500, "Internal\nServer Error"), "me/mine could not be uploaded: "),
        (ConnectionError("no route"), "me/mine could not be uploaded: no route"),
    ],
)
def test_refusals_are_one_line(folder: Path, error: Exception, said: str) -> None:
    class Refuses(Hub):
        def create_repo(self, repo_id: str, **options: Any) -> None:
            raise error

    with pytest.raises(OSError, match=said) as caught:
        upload(folder, "me/mine", api=Refuses())
    assert "\n" not in str(caught.value)


def test_nothing_broken_is_published(folder: Path, tmp_path: Path) -> None:
    hub = Hub()
    with pytest.raises(ValueError, match="is not a model folder"):
        upload(tmp_path / "there-is-none", "me/mine", api=hub)
    for name in ("", "a b", "../x", "a/b/c"):
        with pytest.raises(ValueError, match="is no name of a repository"):
            upload(folder, name, api=hub)
    weights = folder / "model.safetensors"
    arrays = load_file(weights)
    save_file({name: array * np.float32("nan") for name, array in arrays.items()}, weights)
    with pytest.raises(ValueError, match="has NaN or infinity; nothing was uploaded"):
        upload(folder, "me/mine", api=hub)
    save_file(arrays, tmp_path / "elsewhere")
    weights.unlink()
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link"):
        upload(folder, "me/mine", api=hub)
    assert hub.repositories == {}


def test_the_command(folder: Path, run: Any, fails: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:  # noqa: F811
    import huggingface_hub

    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda **_: hub)
    run("push", folder, "me/mine", "--dry-run")
    assert hub.repositories == {}
    run("push", folder, "me/mine", "--private")
    printed = capsys.readouterr().out
    assert "notes.txt" not in printed
    assert printed.splitlines()[-1] == "https://hub/me/mine/commit/1"
    assert hub.calls[0] == {"private": True}
    assert "me/mine exists already" in fails("push", folder, "me/mine")
    assert sorted(parts_of(folder))  # reading changed nothing


def test_from_python(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda **_: hub)
    model = Instructor.from_pretrained(tiny_folder, tokens_per_call=512)
    assert model.push_to_hub("me/mine", private=True) == "https://hub/me/mine/commit/1"
    assert model.save_to_hub("me/other", commit_message="first") == "https://hub/me/other/commit/1"
    assert "model.safetensors" in hub.repositories["me/mine"]
    with pytest.raises(ValueError, match="safe_serialization=False"):
        model.push_to_hub("me/third", safe_serialization=False)


def test_without_a_network_it_is_one_line(folder: Path, fails: Any) -> None:  # noqa: F811
    assert "could not be uploaded" in fails("push", folder, "me/mine")
