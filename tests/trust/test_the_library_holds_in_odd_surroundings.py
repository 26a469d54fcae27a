"""JAX's switches, broken weights, damaged caches, no home, no platform, no connection: right, or a clear word.

What only a fresh process shows runs in one: a program that prints what it found.
"""

import contextlib
import os
import stat
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.compilation import SWITCH, cache_folder
from instructor_jax.inference.device_errors import explained
from instructor_jax.inference.finite import check_finite

from ..small_models import SMALL, model_folder

pytestmark = pytest.mark.slow  # processes of their own, each of which imports JAX

TEXTS = ["A river in the north.", "x", "Food; music: film?"]
SAME = 2e-6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("odd") / "model", SMALL)


@pytest.fixture(scope="module")
def expected(folder: Path) -> np.ndarray:
    return Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512).encode(TEXTS)


def _own_cache() -> dict[str, str]:
    """The environment without the cache of compiled programs that all tests share: a caller's folder is left alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION_CACHE")}


def program(text: str, tmp_path: Path, environment: dict[str, str | None] | None = None) -> tuple[str, str]:
    """What a program prints on standard output and error."""
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(text))
    variables = {**_own_cache(), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **(environment or {})}
    result = subprocess.run(
        [sys.executable, str(file)],
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout, result.stderr


# --- JAX's switches ------------------------------------------------------------------------------------------------

SWITCHES: dict[str, Callable[[], Any]] = {
    "no rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "no type promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "64 bits": lambda: jax.enable_x64(True),
    "no NaN": lambda: jax.debug_nans(True),
    "no infinity": lambda: jax.debug_infs(True),
    "no jit": lambda: jax.disable_jit(),
    "no implicit transfers": lambda: jax.transfer_guard("disallow"),
    "low precision": lambda: jax.default_matmul_precision("bfloat16"),
    "leaks checked": lambda: jax.checking_leaks(),
    "a device of the caller's": lambda: jax.default_device(jax.devices()[4]),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_jaxs_switches_change_nothing(folder: Path, expected: np.ndarray, switch: str) -> None:
    with SWITCHES[switch]():
        model = Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512)
        assert np.abs(model.encode(TEXTS) - expected).max() <= SAME
        states = model.encode(TEXTS, output_value="token_embeddings")
        assert [len(one) for one in states] == model.tokenize(TEXTS)["attention_mask"].sum(axis=1).tolist()


def test_all_strict_switches_at_once(folder: Path, expected: np.ndarray) -> None:
    with contextlib.ExitStack() as strict:
        for name in ("no rank promotion", "no type promotion", "no implicit transfers", "64 bits", "no NaN"):
            strict.enter_context(SWITCHES[name]())
        model = Instructor.from_pretrained(folder, dtype="bfloat16", devices=jax.devices()[:2])
        assert (model.encode(TEXTS) * expected).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(
    "inside",
    [
        lambda model: jax.jit(lambda x: model.encode(["x"])[0] * x)(1.0),
        lambda model: jax.jit(lambda x: model.encode("x", output_value="token_embeddings") * x)(1.0),
        lambda model: jax.jit(lambda x: next(model.encode_stream(["x"])) * x)(1.0),
        lambda model: jax.jit(lambda x: model.encode(["x"] * 100) * x)(1.0),
        lambda model: jax.jit(lambda params: model.with_params(params).encode("x"))(model.params),
        lambda model: jax.grad(lambda params: model.with_params(params).encode("x").sum())(model.params),
        lambda model: jax.lax.scan(lambda carry, _: (carry, model.encode("x")), 0, jnp.arange(3)),
    ],
)
def test_inside_a_traced_function_a_sentence(folder: Path, inside: Any) -> None:
    model = Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512)
    with pytest.raises(ValueError, match=r"traced? by JAX|that JAX traces .*instructor_jax.nn.model.embed"):
        inside(model)
    assert np.isfinite(model.encode(["x"])).all()  # nothing was left behind


def test_inside_functions_that_are_not_traced(folder: Path, expected: np.ndarray) -> None:
    model = Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512)
    gradient = jax.grad(lambda scale: (scale * model.encode(TEXTS)[0]).sum())(2.0)
    assert abs(float(gradient) - float(expected[0].sum())) <= 1e-5
    assert jax.vmap(lambda scale: scale * model.encode(TEXTS)[0])(np.ones(2, np.float32)).shape == (2, 12)


# --- vectors that are no numbers -----------------------------------------------------------------------------------


def broken(model: Instructor, value: float, where: str = "projection") -> Instructor:
    params = jax.tree.map(np.array, model.params)
    leaf = params["projection"] if where == "projection" else params["encoder"]["final_norm"]["scale"]
    leaf.reshape(-1)[0] = value
    return model.with_params(params)


@pytest.fixture(scope="module")
def model(folder: Path) -> Instructor:
    return Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.encode(["x", "y"]),
        lambda model: model.encode("x"),
        lambda model: model.encode(["x"] * 100),
        lambda model: model.encode(["x"], precision="ubinary", truncate_dim=8),
        lambda model: model.encode(["x"], on_overflow="mean_of_windows"),
        lambda model: model.encode(["x"], output_value=None),
        lambda model: list(model.encode_stream(["x"])),
        lambda model: model.calibrate_int8(["x"] * 200),
        lambda model: model.encode(["x"], normalize_embeddings=True, convert_to_numpy=False),
    ],
)
def test_broken_weights_are_told_in_every_way_out(model: Instructor, use: Any, value: float) -> None:
    with pytest.raises(ValueError, match=r"the vector of text 0 is not finite .*weights are broken"):
        use(broken(model, value))


def test_broken_weights_are_told_of_token_states(model: Instructor) -> None:
    with pytest.raises(ValueError, match="the vector of text 0 is not finite"):
        broken(model, np.nan, "norm").encode(["x"], output_value="token_embeddings")


def test_broken_weights_under_jaxs_own_check(model: Instructor) -> None:
    with jax.debug_nans(True), pytest.raises(ValueError, match="not finite"):
        broken(model, np.nan).encode(["x"])


@pytest.mark.parametrize("many", [3, 100])
def test_the_text_that_overflows_is_named(model: Instructor, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One token's row of the table is broken; only texts with it are, since one text at a time keeps rows apart."""
    monkeypatch.setattr("instructor_jax.inference.encoding.CHUNK", 40)
    params = jax.tree.map(np.array, model.params)
    token = int(model.tokenize(["river"])["input_ids"][0, 0])
    assert token not in model.tokenize(["x"])["input_ids"]
    params["encoder"]["embed"]["embedding"][token] = np.nan
    sick = model.with_params(params)
    texts = ["x"] * many + ["river"]
    long = "x " * 600 + "river"
    for use in (lambda: sick.encode(texts, 1), lambda: list(sick.encode_stream(texts, 1))):
        with pytest.raises(ValueError, match=f"the vector of text {many} is not finite"):
            use()
    with pytest.raises(ValueError, match=f"the vector of text {many} is not finite"):
        sick.encode(["x"] * many + [long], 1, on_overflow="mean_of_windows")
    with pytest.raises(ValueError, match=r"text 1 is not finite \(NaN or infinity\), and 1 more of these texts'"):
        sick.encode(["x", "river", "x", "river"], 1)
    assert np.isfinite(sick.encode(["x"] * many)).all()


def test_activations_that_overflow_in_bfloat16(folder: Path) -> None:
    fine = Instructor.from_pretrained(folder, dtype="bfloat16", devices=jax.devices()[:1], tokens_per_call=512)
    huge = jax.tree.map(lambda array: np.array(array, np.float32), fine.params)
    huge["encoder"]["final_norm"]["scale"][:] = 3e38
    with pytest.raises(ValueError, match="not finite .*dtype='bfloat16' was chosen, try 'float32'"):
        fine.with_params(huge).encode(["x"])


@pytest.mark.parametrize(
    ("vectors", "fine"),
    [
        (np.zeros((0, 4), np.float32), True),
        (np.zeros((3, 0), np.float32), True),
        (np.full((3, 4), 3e38, np.float32), True),  # whose squares overflow
        (np.full((3, 4), -1e-40, np.float32), True),
        (np.array([[1, np.nan]], np.float32), False),
        (np.array([[1, 2], [np.inf, -np.inf]], np.float32), False),
    ],
)
def test_the_check_itself(vectors: np.ndarray, fine: bool) -> None:
    if fine:
        check_finite(vectors)
        return
    with pytest.raises(ValueError, match=f"text {7 + len(vectors) - 1} is not finite"):
        check_finite(vectors, 7)


# --- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    ["RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.", "INTERNAL: Failed to allocate 3 bytes", "std::bad_alloc"],
)
def test_too_little_memory_says_what_to_make_smaller(reason: str, model: Instructor, monkeypatch) -> None:
    def fail(batch: Any) -> None:
        raise jax.errors.JaxRuntimeError(reason)

    monkeypatch.setattr(model._ready(), "embed", fail)
    with pytest.raises(MemoryError, match=r"a call of \d+ tokens: .*tokens_per_call.*batch_size") as caught:
        model.encode(["x"])
    assert "\n" not in str(caught.value)


def test_other_errors_of_jax_stay_what_they_are() -> None:
    error = jax.errors.JaxRuntimeError("INTERNAL: something else")
    assert explained(error, 3) is error


# --- platforms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platforms", "message"),
    [
        ("tpu", "JAX_PLATFORMS='tpu' asks for a platform that JAX cannot start here: set it to cpu, or unset it"),
        ("cuda", "JAX_PLATFORMS='cuda' asks .*instructor-jax[cuda13]"),
        ("CPU", "JAX_PLATFORMS='CPU' asks .*in small letters"),
        ("nonsense", "JAX_PLATFORMS='nonsense' asks"),
    ],
)
def test_a_platform_that_is_not_here(folder: Path, tmp_path: Path, platforms: str, message: str) -> None:
    said, _ = program(
        f"""
        from instructor_jax import Instructor
        try:
            Instructor.from_pretrained({str(folder)!r})
        except ValueError as error:
            print(error)
        """,
        tmp_path,
        {"JAX_PLATFORMS": platforms},
    )
    assert all(part in said for part in message.split(" .*")), said
    assert len(said.splitlines()) == 1


# --- the cache of programs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({SWITCH: "off"}, None),
        ({SWITCH: " OFF "}, None),
        ({SWITCH: "0"}, None),
        ({SWITCH: "false"}, None),
        ({SWITCH: "/a/b"}, "/a/b"),
        ({SWITCH: "relative/here"}, "{here}/relative/here"),
        ({SWITCH: "."}, "{here}"),
        ({SWITCH: "~/x"}, "{home}/x"),
        ({SWITCH: "~no-such-user/x"}, None),
        ({SWITCH: "", "XDG_CACHE_HOME": "/c"}, "/c/instructor_jax/xla"),
        ({SWITCH: "  "}, "{home}/.cache/instructor_jax/xla"),
        ({}, "{home}/.cache/instructor_jax/xla"),
    ],
)
def test_the_cache_folder(tmp_path: Path, monkeypatch, variables: dict[str, str], found: str | None) -> None:
    for name in (SWITCH, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    wanted = None if found is None else Path(found.format(here=tmp_path, home=tmp_path / "home"))
    assert cache_folder() == wanted


def test_no_home_folder_and_no_entry_in_the_list_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    pwd = pytest.importorskip("pwd")

    def nobody(_: Any) -> None:
        raise KeyError("no such user")

    for name in (SWITCH, "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert cache_folder() is None


ENCODES = """
    import sys, warnings
    import numpy as np
    from instructor_jax import Instructor
    vectors = Instructor.from_pretrained({folder!r}, tokens_per_call=512).encode({texts!r})
    print(np.abs(vectors - np.load({expected!r})).max() <= 2e-6)
"""


def run_with_cache(folder: Path, expected: np.ndarray, tmp_path: Path, cache: Path | str) -> str:
    """Encodes in a fresh process with this cache, checks the vectors, and returns what went to standard error."""
    np.save(tmp_path / "expected.npy", expected)
    text = ENCODES.format(folder=str(folder), texts=TEXTS, expected=str(tmp_path / "expected.npy"))
    said, errors = program(text, tmp_path, {SWITCH: str(cache)})
    assert said.strip() == "True"
    assert "Traceback" not in errors
    return errors


def test_damaged_cache_files_are_told_and_compiled_again(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert "cache" not in run_with_cache(folder, expected, tmp_path, cache)
    entries = sorted(file for file in cache.rglob("*") if file.is_file() and file.stat().st_size > 100)
    assert entries
    damages: list[Callable[[bytes], bytes]] = [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: os.urandom(len(data)),
        lambda data: data[:200] + bytes(50) + data[250:],
    ]
    for number, entry in enumerate(entries):
        entry.write_bytes(damages[number % len(damages)](entry.read_bytes()))
    assert "compilation cache" in run_with_cache(folder, expected, tmp_path, cache)


def test_a_cache_that_is_a_file(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "no compilation cache" in run_with_cache(folder, expected, tmp_path, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    cache = tmp_path / "locked"
    cache.mkdir()
    cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert "no compilation cache" in run_with_cache(folder, expected, tmp_path, cache)


def test_two_processes_on_one_cache(folder: Path, expected: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "expected.npy", expected)
    text = textwrap.dedent(ENCODES.format(folder=str(folder), texts=TEXTS, expected=str(tmp_path / "expected.npy")))
    variables = {**_own_cache(), SWITCH: str(tmp_path / "shared"), "XLA_FLAGS": ""}
    processes = [
        subprocess.Popen([sys.executable, "-c", text], env=variables, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=240)[0].strip() for process in processes] == ["True", "True"]


# --- connections and files -----------------------------------------------------------------------------------------


def test_no_connection_is_opened_and_nothing_is_written_elsewhere(folder: Path, tmp_path: Path) -> None:
    said, _ = program(
        f"""
        import os, sys
        opened, written = [], []
        def hook(event, arguments):
            if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto"):
                opened.append((event, str(arguments)))
            if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
                written.append(str(arguments[0]))
            if event in ("os.mkdir", "os.rename", "os.remove", "os.symlink"):
                written.append(str(arguments[0]))
        sys.addaudithook(hook)
        from instructor_jax import INSTRUCTOR, Instructor
        from instructor_jax.cli import main
        Instructor.from_pretrained().encode(["x", "y"])
        model = INSTRUCTOR({str(folder)!r})
        model.encode([["Represent: ", "x"]])
        model.save("{tmp_path}/saved")
        open("{tmp_path}/texts.txt", "w").write("a river\\nfood\\n")
        for arguments in (["similarity", "a", "b"], ["search", "food", "--corpus", "{tmp_path}/texts.txt"],
                          ["encode", "{tmp_path}/texts.txt", "-o", "{tmp_path}/out.npy"]):
            try:
                main(arguments)
            except SystemExit as end:
                pass
        print("opened", opened)
        allowed = ("{tmp_path}", "/dev/null", "/proc/", sys.pycache_prefix or "/dev/null")
        print("elsewhere", sorted({{name for name in written if not name.startswith(allowed) and os.path.isabs(name)
                                    and "__pycache__" not in name}}))
        """,
        tmp_path,
        {"HF_HUB_OFFLINE": None, SWITCH: str(tmp_path / "cache"), "TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert "opened []" in said
    assert "elsewhere []" in said
    assert (tmp_path / "out.npy").is_file()


def test_loading_and_encoding_warn_of_nothing(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512).encode(TEXTS)
