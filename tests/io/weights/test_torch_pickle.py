"""The pickle of a state dict, put together here opcode by opcode: read as data, and refused where it is more than that.

Writing opcodes by hand gives hostile programs that PyTorch would never write, and needs no PyTorch.
"""

import io
import pickle
import pickletools
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.io.weights.torch_pickle import interpret_state_dict
from instructor_jax.io.weights.torch_records import Storage, TensorRecord

# --- A hand-made writer of the format ------------------------------------------------------------------------------


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(full: str) -> bytes:
    module, _, attribute = full.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(16, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind: str = "torch.FloatStorage", key: str = "0", count: int = 6) -> bytes:
    return b"(" + text("storage") + name(kind) + text(key) + text("cpu") + number(count) + b"tQ"


NO_HOOKS = name("collections.OrderedDict") + b")R"


def tensor(shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, data: bytes | None = None) -> bytes:
    """Opcodes for one tensor; `data` is its storage."""
    data = storage() if data is None else data
    view = data + number(offset) + numbers(shape) + numbers(stride) + b"\x89" + NO_HOOKS
    return name("torch._utils._rebuild_tensor_v2") + b"(" + view + b"tR"


def state_dict(**entries: bytes) -> bytes:
    items = b"".join(text(key) + value for key, value in entries.items())
    return b"\x80\x02" + name("collections.OrderedDict") + b")R" + b"(" + items + b"u."


def test_the_hand_made_programs_are_valid_pickles() -> None:
    """Otherwise the hostile ones below would only show that nonsense is refused."""
    pickletools.dis(state_dict(x=tensor((2, 3), (3, 1)), y=tensor((10**12,), (0,))), io.StringIO())


# --- Good programs -------------------------------------------------------------------------------------------------

FLOAT32 = np.dtype(np.float32)
FLOATS = Storage("0", 6, FLOAT32)


def test_gives_strided_views_of_storages_in_order() -> None:
    records = interpret_state_dict(state_dict(z=tensor((3, 2), (1, 3)), a=tensor((), (), 5), e=tensor((0, 4), (4, 1))))
    assert list(records) == ["z", "a", "e"]
    assert records["z"] == TensorRecord(FLOATS, FLOAT32, 0, (3, 2), (1, 3))
    assert records["a"] == TensorRecord(FLOATS, FLOAT32, 5, (), ())


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("Float", np.float32),
        ("Half", np.float16),
        ("BFloat16", ml_dtypes.bfloat16),
        ("Double", np.float64),
        ("Long", np.int64),
        ("Int", np.int32),
        ("Short", np.int16),
        ("Char", np.int8),
        ("Byte", np.uint8),
        ("Bool", np.bool_),
    ],
)
def test_knows_the_storages(kind: str, dtype: type) -> None:
    program = state_dict(x=tensor((6,), (1,), data=storage(f"torch.{kind}Storage")))
    assert interpret_state_dict(program)["x"].dtype == dtype


def test_reads_parameters_and_tensors_that_state_their_dtype() -> None:
    parameter = name("torch._utils._rebuild_parameter") + b"(" + tensor((6,), (1,)) + b"\x88" + NO_HOOKS + b"tR"
    view = storage("torch.storage.UntypedStorage", "1", 12) + number(0) + numbers((6,)) + numbers((1,))
    stated = name("torch._utils._rebuild_tensor_v3") + b"(" + view + b"\x89" + NO_HOOKS + name("torch.uint16") + b"tR"
    records = interpret_state_dict(state_dict(parameter=parameter, stated=stated))
    assert records["parameter"].storage == FLOATS
    assert records["stated"] == TensorRecord(Storage("1", 12, None), np.dtype(np.uint16), 0, (6,), (1,))


def test_ignores_what_nn_module_adds_to_its_state_dict() -> None:
    metadata = b"}" + text("_metadata") + NO_HOOKS + b"s"
    assert list(interpret_state_dict(state_dict(x=tensor((6,), (1,)))[:-1] + metadata + b"b.")) == ["x"]


# --- Hostile programs ----------------------------------------------------------------------------------------------


class _Runs:
    """Pickles to a call that creates a file."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_never_runs_code(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    for function in (Path.touch, eval, exec, open):
        argument = trace if function is Path.touch else f"open({str(trace)!r}, 'w')" if function is not open else trace
        arguments = (argument, "w") if function is open else (argument,)
        program = pickle.dumps({"x": _Runs(function, *arguments)}, protocol)
        with pytest.raises(ValueError, match="nothing was executed"):
            interpret_state_dict(program)
    assert not trace.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(X\x04\x00\x00\x00truetR.",
        b"(cos\nsystem\nX\x04\x00\x00\x00trueo.",  # OBJ
        b"(X\x04\x00\x00\x00trueios\nsystem\n.",  # INST
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # STACK_GLOBAL
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01)R.",  # EXT1
        name("torch._utils._rebuild_tensor_v2") + b"\x94" + name("torch.float32") + b"\x85R.",
        name("collections.OrderedDict") + b"(" + text("__init__") + name("torch.float32") + b"db.",  # BUILD on a name
        name("torch._utils._rebuild_device_tensor_from_numpy") + b")R.",
        name("torch.storage._load_from_bytes") + b"(" + text("x") + b"tR.",
        b"P0\n.",  # PERSID
    ],
)
def test_refuses_opcodes_and_names_that_no_state_dict_needs(program: bytes) -> None:
    with pytest.raises(ValueError, match=r"executed|PyTorch does not write|not a dict"):
        interpret_state_dict(program)


def test_names_the_refused_function() -> None:
    with pytest.raises(ValueError, match=r"'os.system', which no state dict needs; refused, nothing was executed"):
        interpret_state_dict(b"cos\nsystem\n)R.")


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        ((7,), (1,), 0),
        ((6,), (1,), 1),
        ((2, 3), (4, 1), 0),
        ((1,), (1,), 6),
        ((-1,), (1,), 0),
        ((2,), (-1,), 3),
        ((2,), (1,), -1),
        ((2, 3), (3,), 0),
        ((2**61, 2**61), (0, 0), 0),
        ((10**12,), (0,), 0),  # eight terabytes out of one number
        ((2**63,), (1,), 0),
        ((0, 2**63), (1, 1), 0),
        ((1,) * 65, (1,) * 65, 0),
    ],
)
def test_refuses_tensors_that_leave_their_storage(shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> None:
    with pytest.raises(ValueError, match="a tensor"):
        interpret_state_dict(state_dict(x=tensor(shape, stride, offset)))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (state_dict(x=tensor((6,), (1,), data=storage(count=2**62))), "does not write"),
        (state_dict(x=tensor((6,), (1,), data=storage("torch.QInt8Storage"))), "QInt8Storage"),
        (state_dict(x=tensor((6,), (1,), data=storage("torch.storage.UntypedStorage", "0", 24))), "not write"),
        (state_dict(x=number(3)), "entry 'x' is a int"),
        (b"\x80\x02]q\x00.", "holds a list"),
        (b"\x80\x02N.", "holds a NoneType"),
        (state_dict(x=tensor((6,), (1,)))[:-1], "damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02h\x05.", "damaged: it recalls entry 5"),
        (b"\x80\x02}t.", "damaged: it closes a mark"),
        (b"\x80\x02}" + b"(" + text("a") + b"u.", "a key without a value"),
        (b"\x80\x02}(" + text("a") + b"N" + text("a") + b"Nu.", "'a' appears twice"),
        (b"\x80\x02}(" + number(1) + b"Nu.", "as a key"),
    ],
)
def test_says_what_is_wrong(program: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interpret_state_dict(program)


def test_hostile_programs_stay_cheap() -> None:
    doubled = b"\x80\x02)" + b"q\x00h\x00\x86" * 5000  # as text this tuple would have 2**5000 characters
    as_key = b"\x80\x02})" + b"q\x00h\x00\x86" * 200 + b"Ns."  # hashing this tuple would take 2**200 steps
    far_memo = b"\x80\x02}r\xff\xff\xff\x7f."  # a table for this index would take 16 GiB
    long_text = b"\x80\x02X\xff\xff\xff\x7fabc."
    for program in (doubled + b".", as_key, long_text):
        with pytest.raises(ValueError, match=r"holds a tuple|as a key|damaged"):
            interpret_state_dict(program)
    assert interpret_state_dict(far_memo) == {}


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_program_gives_tensors_inside_their_storage_or_a_value_error(data: st.DataObject) -> None:
    program = bytearray(state_dict(a=tensor((2, 3), (3, 1)), b=tensor((3, 2), (1, 3))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, max(0, len(program) - 1)))
        program[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    try:
        records = interpret_state_dict(bytes(program))
    except ValueError:
        return
    for record in records.values():
        last = record.offset + sum((n - 1) * step for n, step in zip(record.shape, record.stride, strict=True))
        assert 0 in record.shape or 0 <= last < record.storage.count


@settings(max_examples=200, deadline=None)
@given(program=st.binary(max_size=200))
def test_noise_is_refused(program: bytes) -> None:
    try:
        assert interpret_state_dict(program) == {}
    except ValueError:
        return
