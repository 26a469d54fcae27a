"""Names that strangers chose (folders, models, tasks, prompts), up to the terminal, the model card and the page."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest

from instructor_jax import Instructor
from instructor_jax.commands.nearest import Hit
from instructor_jax.commands.search_page import search_page

from ..commands.conftest import fails, fake, run  # noqa: F401 - fixtures
from ..small_models import SMALL, model_folder
from ..train.small_runs import WORDS, small_run

HOSTILE = 'a\n---\nlicense: mit\n# h <b>`|$ \x1b[31m\u202e\x9b "q" ```\n</details><script>x'
NAME = HOSTILE.replace("/", "_")  # of a file
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


# --- the terminal --------------------------------------------------------------------------------------------------

COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "input": lambda path: ["encode", f"{path}.txt", "-o", "x.npy", "-m", "fake"],
    "output": lambda path: ["encode", "in.txt", "-o", f"{path}.png", "-m", "fake"],
    "output in no folder": lambda path: ["search", "in.txt", "-q", "x", "-m", "fake", "--html", f"{path}/x.html"],
    "model": lambda path: ["encode", "in.txt", "-o", "x.npy", "-m", str(path)],
    "column": lambda path: ["encode", "in.csv", "-o", "x.npy", "-m", "fake", "--text-column", path.name],
    "delimiter": lambda path: ["encode", "in.csv", "-o", "x.npy", "-m", "fake", "--delimiter", path.name],
    "columns of the file": lambda path: ["encode", "hostile.csv", "-o", "x.npy", "-m", "fake"],
    "corpus vectors": lambda path: ["search", "in.txt", "-q", "x", "-m", "fake", "--corpus-vectors", str(path)],
    "pairs": lambda path: ["similarity", "--pairs", f"{path}.csv", "-m", "fake"],
    "heatmap": lambda path: ["similarity", "a", "b", "-m", "fake", "--heatmap", f"{path}.bmp"],
    "mixture": lambda path: ["train", "tiny", f"data={path}", "output=run"],
    "setting": lambda path: ["train", "tiny", f"{path.name}=1"],
    "recipe": lambda path: ["train", path.name],
    "statistics": lambda path: ["medi", "stats", str(path), "--to", "x.html"],
    "rows": lambda path: ["medi", "import", f"{path}.jsonl", "--to", "mix"],
    "weights": lambda path: ["convert", "to-torch", str(path), "out"],
    "topology": lambda path: ["plan", "tiny", "--topology", path.name],
    "candidates": lambda path: ["compare-instructions", "in.csv", "--instructions-file", str(path), "-m", "fake"],
    "verb": lambda path: [path.name],
    "option": lambda path: ["encode", f"--{path.name}"],
    "value": lambda path: ["encode", "in.txt", "-o", "x.npy", "--precision", path.name],
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_messages_obey_no_name(
    kind: str,
    fails: Callable[..., str],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    (tmp_path / "in.csv").write_text("text,label\none,a\ntwo,b\n")
    (tmp_path / "hostile.csv").write_text(f'"{HOSTILE.replace(chr(34), chr(34) * 2)}",b\none,a\n')
    line = fails(*COMMANDS[kind](tmp_path / NAME))  # one line, exit code 2
    assert not UNSAFE.search(line)
    assert len(line) < 1200
    assert not (tmp_path / "x.npy").exists()


def test_a_model_that_lies_in_a_hostile_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / NAME, SMALL, prompts={HOSTILE: HOSTILE}, default_prompt_name=None)
    model = Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512)
    for told in (repr(model), *(str(error) for error in errors_of(model))):
        assert not UNSAFE.search(told)
        assert "\n" not in told
    model.save_pretrained(tmp_path / f"{NAME} again")
    again = Instructor.from_pretrained(tmp_path / f"{NAME} again", devices=jax.devices()[:1], tokens_per_call=512)
    assert again.prompts == {HOSTILE: HOSTILE}


def errors_of(model: Instructor) -> list[ValueError]:
    """What the model says of names that it does not have."""
    uses: list[Callable[[], Any]] = [
        lambda: model.encode(["x"], prompt_name=f"{HOSTILE}!"),
        lambda: setattr(model, "default_prompt_name", f"{HOSTILE}!"),
        lambda: setattr(model, "similarity_fn_name", HOSTILE),
        lambda: model.encode(["x"], precision=HOSTILE),
        lambda: model.to(HOSTILE),
        lambda: Instructor.from_pretrained(HOSTILE),
    ]
    found = []
    for use in uses:
        with pytest.raises(ValueError, match=r"\w") as caught:
            use()
        found.append(caught.value)
    return found


# --- pages and cards -----------------------------------------------------------------------------------------------


def test_a_page_of_hits_shows_the_names() -> None:
    page = search_page([HOSTILE], [[Hit(0.5, 0, (HOSTILE, HOSTILE))]], corpus=NAME, model=HOSTILE)
    assert not UNSAFE.search(page)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.slow
def test_the_card_of_a_trained_model(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    from instructor_jax.train import train
    from instructor_jax.train.data.examples import Example, Side
    from instructor_jax.train.medi.storage.staging import Staging
    from instructor_jax.train.medi.storage.store_writer import write_store
    from instructor_jax.train.settings.sections import BatchConfig

    chance, staging = random.Random(0), Staging(tmp_path / "mixture.partial")
    examples = []
    for row in range(60):
        words = chance.sample(WORDS, 6)
        sides = [Side(f"{HOSTILE}: ", " ".join(order)) for order in (words, words[::-1])]
        examples.append(Example(sides[0], sides[1], (), NAME, f"row {row}"))
    staging.write(NAME, examples, about={"licence": HOSTILE})
    write_store(tmp_path / "mixture", staging)
    batch = BatchConfig(groups=8, rows=4, length=64, negatives=0)
    train(small_run(tmp_path / "mixture", tmp_path / NAME, steps=3, batch=batch))
    card = (tmp_path / NAME / "model" / "README.md").read_text(encoding="utf-8")
    assert not UNSAFE.search(card)
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "unknown"
    plain = re.sub(r"(?ms)^```.*?^```$", "", body)  # without blocks of code, where nothing has a meaning
    assert "<script" not in plain.replace("\\<", "")
    assert next(line for line in plain.splitlines() if line.startswith("#")).startswith("# a --- license: mit")
    assert not [line for line in plain.splitlines() if re.match(r"# h|---|license:", line)]
    assert plain.count("<details>") == plain.count("</details>") == 2
