"""Hostile, damaged and odd `.bin` files: no code runs, memory and time stay small, and each gets one clear error."""

import io
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.io.bounds import PICKLE_BYTES, PICKLE_OPCODES
from instructor_jax.io.weights.torch_files import read_torch_file
from instructor_jax.io.weights.torch_pickle import interpret_state_dict

from ..io.weights.test_torch_pickle import NO_HOOKS, name, number, numbers, state_dict, storage, tensor, text

pytestmark = pytest.mark.usefixtures("unchecked")  # checks of types take longer than the work itself

MIB = 1 << 20
DATA = np.arange(6, dtype=np.float32).tobytes()
GOOD = state_dict(x=tensor((6,), (1,)))


def archive(path: Path, program: bytes, **records: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for record, data in {"data.pkl": program, "data/0": DATA, **records}.items():
            file.writestr(f"model/{record}", data)
    return path


# --- Programs that would run code, had they been unpickled ---------------------------------------------------------

CALLS = {
    "os.system": b"cos\nsystem\n(X\x04\x00\x00\x00truetR.",
    "posix.system": b"cposix\nsystem\n(X\x04\x00\x00\x00truetR.",
    "builtins.eval": b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
    "builtins.exec": b"cbuiltins\nexec\n(X\x01\x00\x00\x001tR.",
    "builtins.getattr": b"cbuiltins\ngetattr\n(X\x01\x00\x00\x001tR.",
    "builtins.__import__": b"cbuiltins\n__import__\n(X\x02\x00\x00\x00ostR.",
    "subprocess.Popen": b"csubprocess\nPopen\n(X\x04\x00\x00\x00truetR.",
    "runpy._run_code": b"crunpy\n_run_code\n)R.",
    "operator.attrgetter": b"coperator\nattrgetter\n(X\x06\x00\x00\x00systemtR.",
    "torch.load": b"ctorch\nload\n(X\x01\x00\x00\x00ftR.",
    "torch.hub.load": b"ctorch.hub\nload\n)R.",
    "torch.jit.load": b"ctorch.jit\nload\n)R.",
    "torch.storage._load_from_bytes": b"ctorch.storage\n_load_from_bytes\n)R.",
    "torch._utils._rebuild_sparse_tensor": b"ctorch._utils\n_rebuild_sparse_tensor\n)R.",
    "torch.nn.modules.linear.Linear": b"ctorch.nn.modules.linear\nLinear\n)\x81.",
    "numpy.core.multiarray._reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n)R.",
    "codecs.encode": b"c_codecs\nencode\n)R.",
    "pickle.loads": b"c_pickle\nloads\n)R.",
    "a dotted attribute": text("collections") + text("OrderedDict.__init__") + b"\x93.",
    "a known name split otherwise": b"ccollections.OrderedDict\n__init__\n)R.",
    "a name of another case": b"ccollections\norderedDict\n)R.",
    "a name with blanks": b"c collections\nOrderedDict\n)R.",
    "an empty name": b"c\n\n)R.",
}


@pytest.mark.parametrize("program", CALLS.values(), ids=CALLS)
def test_no_name_is_resolved(program: bytes) -> None:
    with pytest.raises(ValueError, match=r"nothing was executed"):
        interpret_state_dict(program)


OPCODES = {
    "INST": b"(ios\nsystem\n.", "OBJ": b"(No.", "NEWOBJ": b")\x81.", "NEWOBJ_EX": b"))}\x92.",
    "EXT1": b"\x82\x01.", "EXT2": b"\x83\x01\x00.", "EXT4": b"\x84\x01\x00\x00\x00.", "PERSID": b"Pid\n.",
    "STRING": b"S'a'\n.", "UNICODE": b"Va\n.", "INT": b"I1\n.", "LONG": b"L1L\n.", "FLOAT": b"F1\n.",
    "LONG4": b"\x8b\x01\x00\x00\x00\x01.", "BINBYTES": b"B\x01\x00\x00\x00a.", "BYTEARRAY8": b"\x96" + bytes(8) + b".",
    "EMPTY_SET": b"\x8f.", "FROZENSET": b"(\x91.", "NEXT_BUFFER": b"\x97.", "READONLY_BUFFER": b"\x98.", "DUP": b"N2.",
    "POP": b"N0.", "POP_MARK": b"(1.", "an unknown byte": b"\xff.",
}  # fmt: skip


@pytest.mark.parametrize("program", OPCODES.values(), ids=OPCODES)
def test_opcodes_that_no_state_dict_needs_are_refused(program: bytes) -> None:
    with pytest.raises(ValueError, match=r"has no place in a state dict; refused, nothing was executed"):
        interpret_state_dict(program)


def test_a_file_with_code_leaves_no_trace(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "trace",)

    for protocol in range(6):
        for content in ({"x": Runs()}, [Runs()], Runs(), {"x": {"y": Runs()}}):
            path = archive(tmp_path / "a.bin", pickle.dumps(content, protocol))
            with pytest.raises(ValueError, match=r"a\.bin is not a PyTorch weight file"):
                read_torch_file(path)
    assert not (tmp_path / "trace").exists()


# --- Programs that would grow ---------------------------------------------------------------------------------------

FEW = 10_000  # steps allowed in these tests; memory grows with their number
GROWING = {
    "lists": b"]" * FEW,
    "dictionaries": b"}" * FEW,
    "marks": b"(" * FEW,
    "nothing": b"N" * FEW,
    "frames": (b"\x95" + bytes(8)) * FEW,
    "protocols": b"\x80\x02" * FEW,
    "dictionaries in the memo": b"}\x94" * FEW,
    "one value at many places of the memo": b"}" + b"".join(b"r" + struct.pack("<I", 977 * i) for i in range(FEW)),
    "tuples in tuples": b")" + b"\x85" * FEW,
    "tuples that double": b")" + b"\x94h\x00h\x00\x87" * (FEW // 4),
    "numbers of 255 bytes": (b"\x8a\xff" + b"\x7f" * 255) * FEW,
    "records of one call": b"ccollections\nOrderedDict\n\x94)\x94" + b"h\x00h\x01R" * FEW,
    "dictionaries in a list": b"](" + b"}\x8c\x01a}s" * FEW,
    "texts that take four bytes a character": (b"X\x64\x00\x00\x00" + b"a" * 96 + "😀".encode()) * FEW,
}


@pytest.mark.parametrize("program", GROWING.values(), ids=GROWING)
def test_a_step_leaves_little_behind(monkeypatch: pytest.MonkeyPatch, program: bytes) -> None:
    """At most 300 bytes a step and four a byte of the program: 230 MB where the real bounds are reached at once."""
    monkeypatch.setattr("instructor_jax.io.weights.torch_pickle.PICKLE_OPCODES", FEW)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"its pickle has more than 10,000 steps|damaged|holds a|calls"):
            interpret_state_dict(program + b".")
        assert tracemalloc.get_traced_memory()[1] < FEW * 300 + 4 * len(program) + MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("program", "message"),
    {
        "opcodes": (b"}" * (PICKLE_OPCODES + 1), "more than 524,288 steps"),
        "a name of a module of 15 MiB": (b"c" + b"a" * 15 * MIB + b"\nb\n.", "which no state dict needs"),
        "a text of 15 MiB": (b"X" + struct.pack("<I", 15 * MIB) + b"a" * 15 * MIB + b".", "a text of 15,728,640 char"),
        "a text that promises 2 GiB": (b"X\xff\xff\xff\x7fabc.", "damaged"),
        "a text that promises 2**62 bytes": (b"\x8d" + struct.pack("<Q", 2**62) + b"abc.", "damaged"),
        "a text that promises 2**64 - 1 bytes": (b"\x8d" + b"\xff" * 8 + b"abc.", "damaged"),
        "one byte more than is read": (bytes(PICKLE_BYTES + 1), "its pickle has 16,777,217 bytes"),
    }.values(),
)
def test_the_real_bounds_hold(program: bytes, message: str) -> None:
    before = time.process_time()
    with pytest.raises(ValueError, match=message):
        interpret_state_dict(program)
    assert time.process_time() - before < 20  # about one second; machines are shared


def test_numbers_that_are_shared_are_looked_at_once() -> None:
    """A tuple of 100,000 sizes in the memo, given to one tensor after another."""
    sizes = b"(" + b"K\x01" * 100_000 + b"t\x94"
    view = b"(h\x01K\x00h\x00h\x00\x89" + NO_HOOKS + b"tR"
    call = name("torch._utils._rebuild_tensor_v2")
    program = b"\x80\x04" + sizes + storage() + b"\x94" + (call + view) * 200 + b"."
    with pytest.raises(ValueError, match=r"100000 sizes and 100000 strides; at most 32"):
        interpret_state_dict(program)


@pytest.mark.slow
def test_deep_values_are_dropped_and_shown_without_recursion() -> None:
    for deep in (
        b")" + b"\x85" * 200_000,
        b"](" * 150_000 + b"e" * 150_000,
        b"}" + b"\x8c\x01a}" * 100_000 + b"s" * 100_000,
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            interpret_state_dict(b"\x80\x04" + deep + b".")
        assert len(str(caught.value)) < 400


# --- Values of a wrong kind ------------------------------------------------------------------------------------------

WRONG = {
    "a list": (b"]", "holds a list"),
    "a number": (number(3), "holds a int"),
    "true": (b"\x88", "holds a bool"),
    "a text": (text("weights"), "holds a str"),
    "a float": (b"G" + bytes(8), "holds a float"),
    "a storage": (storage(), "holds a Storage"),
    "a tensor": (tensor((6,), (1,)), "holds a TensorRecord"),
    "a name": (name("torch.float32"), "holds 'torch.float32'"),
    "a dictionary in it": (b"}" + text("state_dict") + b"}s", r"'state_dict' is a dict, .*\['state_dict'\], new"),
    "a number in it": (b"}" + text("epoch") + number(3) + b"s", "entry 'epoch' is a int, not a tensor"),
    "nothing in it": (b"}" + text("x") + b"Ns", "entry 'x' is a NoneType"),
    "true as a size": (b"}" + text("x") + tensor((6,), (1,)).replace(number(0), b"\x88") + b"s", "no integer"),
    "a key of nothing": (b"}NNs", "a NoneType as a key"),
    "a key of a tuple": (b"})Ns", "a tuple as a key"),
    "a list as a dictionary": (b"]" + text("x") + b"Ns", "not a dict"),
    "an append to a dictionary": (b"}Na", "not a list"),
    "a build on a list": (b"]}b", "not a dict"),
    "a call of a text": (text("collections.OrderedDict") + b")R", "calls a str"),
    "a call with a list": (name("collections.OrderedDict") + b"]R", "calls 'collections.OrderedDict'"),
    "a dtype that is called": (name("torch.float32") + b")R", "calls 'torch.float32'"),
    "an ordered dictionary of arguments": (name("collections.OrderedDict") + b"](e\x85R", "from arguments"),
    "a parameter of nothing": (name("torch._utils._rebuild_parameter") + b"(N\x88" + NO_HOOKS + b"tR", "not write"),
    "a tensor of a list as its shape": (
        name("torch._utils._rebuild_tensor_v2") + b"(" + storage() + number(0) + b"]]\x89" + NO_HOOKS + b"tR",
        "not write",
    ),
    "quantised": (tensor((6,), (1,), data=storage("torch.QUInt8Storage")), "QUInt8Storage"),
    "complex": (tensor((6,), (1,), data=storage("torch.ComplexFloatStorage")), "ComplexFloatStorage"),
    "an eighth of float": (
        name("torch._utils._rebuild_tensor_v3") + b"(" + storage("torch.storage.UntypedStorage") + number(0)
        + numbers((6,)) + numbers((1,)) + b"\x89" + NO_HOOKS + name("torch.float8_e4m3fn") + b"tR",
        "float8_e4m3fn",
    ),
    "a storage of minus one": (storage(count=-1), "not write"),
    "a storage of true": (storage().replace(number(6), b"\x88"), "holds a Storage"),
}  # fmt: skip


@pytest.mark.parametrize(("program", "message"), WRONG.values(), ids=WRONG)
def test_a_value_of_a_wrong_kind_is_named(program: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interpret_state_dict(b"\x80\x02" + program + b".")


@pytest.mark.parametrize("key", ["\x1b]0;owned\x07", "a\nb", "\u202egnp", "x" * 4000, "", "\udcff"])
def test_names_are_shown_without_control_characters(key: str) -> None:
    encoded = key.encode("utf-8", "surrogatepass")
    program = b"\x80\x02}X" + struct.pack("<I", len(encoded)) + encoded + b"Ns."
    with pytest.raises(ValueError, match="not a tensor") as caught:
        interpret_state_dict(program)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


# --- The archive around it ------------------------------------------------------------------------------------------


def test_a_list_of_a_million_records_is_not_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.bin", GOOD)
    whole = path.read_bytes()
    start, end = whole.index(b"PK\x01\x02"), whole.rindex(b"PK\x05\x06")
    listed = whole[start:end] * 20_000  # 2.3 MB
    tail = whole[end : end + 8] + b"\xff\xff\xff\xff" + struct.pack("<I", len(listed)) + whole[end + 16 :]
    path.write_bytes(whole[:start] + listed + tail)
    with pytest.raises(ValueError, match=r"its list of records has more than 2,097,152 bytes"):
        read_torch_file(path)


def test_records_that_overlap_are_refused(tmp_path: Path) -> None:
    """Every record of the list is the same megabyte of the file, so that checksums alone would take hours."""
    big = bytes(MIB)
    buffer = io.BytesIO()
    keys = [str(number) for number in range(40)]
    program = state_dict(
        **{f"x{key}": tensor((MIB // 4,), (1,), data=storage(key=key, count=MIB // 4)) for key in keys}
    )
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("m/data.pkl", program)
        file.writestr("m/data/00", big)
        where = file.getinfo("m/data/00").header_offset
        for key in keys:
            entry = zipfile.ZipInfo(f"m/data/{key}")
            entry.header_offset, entry.file_size, entry.compress_size, entry.CRC = where, MIB, MIB, zlib.crc32(big)
            file.filelist.append(entry)
    (tmp_path / "a.bin").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="its records overlap"):
        read_torch_file(tmp_path / "a.bin")


@pytest.mark.parametrize("record", ["data.pkl", "byteorder"])
def test_a_record_that_is_read_whole_is_short(tmp_path: Path, record: str) -> None:
    path = archive(tmp_path / "a.bin", GOOD)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("m/data.pkl", GOOD if record != "data.pkl" else bytes(PICKLE_BYTES + 1))
        file.writestr("m/byteorder", b"little" if record != "byteorder" else b"little" * 100)
    with pytest.raises(ValueError, match=rf"its record '{record}' has [\d,]+ bytes, more than"):
        read_torch_file(path)


def changed(whole: bytes, at: int, value: bytes) -> bytes:
    return whole[:at] + value + whole[at + len(value) :]


@pytest.mark.parametrize("field", [6, 8, 10, 20, 24, 28, 30, 32, 34, 42])
@pytest.mark.parametrize("value", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"])
def test_a_list_of_records_that_lies_is_refused_or_harmless(tmp_path: Path, field: int, value: bytes) -> None:
    """Flags, methods, sizes, lengths of names and offsets of the first record in the list."""
    path = archive(tmp_path / "a.bin", GOOD)
    whole = path.read_bytes()
    path.write_bytes(changed(whole, whole.index(b"PK\x01\x02") + field, value))
    try:
        assert read_torch_file(path)["x"].tolist() == [0, 1, 2, 3, 4, 5]
    except ValueError as error:
        assert "a.bin is not a PyTorch weight file" in str(error)  # noqa: PT017


@pytest.mark.parametrize("field", [4, 8, 10, 12, 16, 20])
@pytest.mark.parametrize("value", [b"\xff\xff", b"\x01\x80", b"\x00\x00"])
def test_an_end_that_lies_is_refused_or_harmless(tmp_path: Path, field: int, value: bytes) -> None:
    path = archive(tmp_path / "a.bin", GOOD)
    whole = path.read_bytes()
    path.write_bytes(changed(whole, whole.rindex(b"PK\x05\x06") + field, value))
    try:
        assert read_torch_file(path)["x"].tolist() == [0, 1, 2, 3, 4, 5]
    except ValueError as error:
        assert "a.bin is not a PyTorch weight file" in str(error)  # noqa: PT017


@pytest.mark.parametrize("place", [b"\xff" * 8, b"\x00" * 7 + b"\x80", struct.pack("<Q", 2**40)])
def test_an_end_of_64_bits_that_points_elsewhere_is_refused(tmp_path: Path, place: bytes) -> None:
    path = archive(tmp_path / "a.bin", GOOD)
    whole = path.read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    wide = b"PK\x06\x06" + struct.pack("<Q", 44) + b"\x2d\x00\x2d\x00" + bytes(8) + struct.pack("<QQ", 3, 3) + place * 2
    locator = b"PK\x06\x07" + bytes(4) + struct.pack("<Q", end) + b"\x01\x00\x00\x00"
    path.write_bytes(whole[:end] + wide + locator + whole[end : end + 8] + b"\xff" * 12 + b"\x00\x00")
    with pytest.raises(ValueError, match=r"a\.bin is not a PyTorch weight file"):
        read_torch_file(path)
