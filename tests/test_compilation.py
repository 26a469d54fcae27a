"""How programs are compiled follows from what is computed and from what the processor can."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instructor_jax import Instructor, compilation, processor
from instructor_jax.compilation import compiler_options, computes_bfloat16
from instructor_jax.inference.compute_options import fastest_dtype

# The lines of real machines, shortened to what could matter.
ZEN1 = "flags\t\t: fpu sse sse2 fma avx f16c avx2 bmi2 sha_ni"
ZEN4 = "flags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16 avx512_vbmi2"
SAPPHIRE_RAPIDS = "flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 avx512_fp16 amx_tile amx_int8"
CASCADE_LAKE = "flags\t\t: fpu avx2 avx512f avx512_vnni"
GRAVITON3 = "Features\t: fp asimd asimdhp sve svebf16 i8mm bf16"
GRAVITON2 = "Features\t: fp asimd asimdhp asimddp"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """Pretends to run on another processor."""

    def pretend(line: str) -> None:
        monkeypatch.setattr(processor, "features_line", lambda: line)

    return pretend


@pytest.mark.parametrize(
    ("line", "multiplies", "fastest"),
    [
        (ZEN1, False, "float32"),
        (ZEN4, True, "bfloat16"),
        (SAPPHIRE_RAPIDS, True, "bfloat16"),
        (CASCADE_LAKE, False, "float32"),
        (GRAVITON3, True, "float32"),  # its bfloat16 was never measured
        (GRAVITON2, False, "float32"),
        ("", False, "float32"),
        ("Apple M3", False, "float32"),  # what other systems tell: a name, whose words are no instruction sets
        ("a chip with avx512_bf16", False, "float32"),
    ],
)
def test_types_follow_from_the_instruction_sets(on, line: str, multiplies: bool, fastest: str) -> None:
    on(line)
    assert computes_bfloat16("cpu") is multiplies
    assert computes_bfloat16("gpu")
    assert computes_bfloat16("tpu")
    assert fastest_dtype("cpu", processor.instruction_sets()) == fastest
    assert fastest_dtype("gpu", processor.instruction_sets()) == "bfloat16"
    assert fastest_dtype("tpu", processor.instruction_sets()) == "bfloat16"
    float32 = compiler_options("cpu", "float32")
    assert float32
    # products that are computed in float32 after all are compiled as such
    assert compiler_options("cpu", jnp.bfloat16) == ({} if multiplies else float32)
    assert compiler_options("gpu", "bfloat16") == compiler_options("tpu", "float32") == {}


def test_options_that_this_xla_does_not_know_are_left_out(on, monkeypatch: pytest.MonkeyPatch) -> None:
    on(ZEN4)
    monkeypatch.setitem(compilation._CPU_OPTIONS, "float32", {"xla_cpu_option_of_another_year": "1"})
    assert compiler_options("cpu", "float32") == {}


def test_a_machine_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr(processor.Path, "read_text", absent)
    processor.features_line.cache_clear()
    try:
        assert processor.instruction_sets() == frozenset()
        assert not computes_bfloat16("cpu")
    finally:
        processor.features_line.cache_clear()


def test_auto_chooses_when_the_model_is_loaded(on, tiny_folder) -> None:
    devices = jax.devices()[:1]
    for line, chosen in ((ZEN1, "float32"), (ZEN4, "bfloat16")):
        on(line)
        model = Instructor.from_pretrained(tiny_folder, dtype="auto", devices=devices)
        assert model.dtype == chosen
        assert Instructor.from_pretrained(tiny_folder, devices=devices).dtype == "float32"  # the default stays
        assert model.to(dtype="float32").to(dtype="auto").dtype == chosen
    with pytest.raises(ValueError, match=r"dtype='fastest' must be 'float32' or 'bfloat16'; 'auto' takes"):
        Instructor.from_pretrained(tiny_folder, dtype="fastest")


@pytest.mark.slow
def test_auto_keeps_the_cosine_that_it_promises(on, tiny_folder) -> None:
    """Where it takes bfloat16, that type's vectors are within the bound; here of a model with random weights."""
    on(ZEN4)
    devices, texts = jax.devices()[:1], ["a short text", "and another one, which is a little longer than that"]
    options = {"devices": devices, "max_length": 32, "tokens_per_call": 32}
    fast = Instructor.from_pretrained(tiny_folder, dtype="auto", **options).encode(texts)
    exact = Instructor.from_pretrained(tiny_folder, **options).encode(texts)
    assert not np.array_equal(fast, exact)
    assert (fast * exact).sum(axis=1).min() > 0.999
