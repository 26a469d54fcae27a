"""`.bin` files: what torch.save writes is read bit for bit; other, damaged and hostile archives are refused.

Archives are also put together here by hand, so that these tests run where PyTorch is absent.
"""

import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.io.weights.torch_files import read_torch_file

VALUES = np.arange(6, dtype=np.float32)


def state_dict(key: str = "0", count: int = 6, **views: tuple[tuple[int, ...], tuple[int, ...], int]) -> bytes:
    """The pickle of float32 tensors, each a (shape, stride, offset), that share one storage."""

    def string(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + value.to_bytes(4, "little") for value in values) + b"t"

    ordered = b"ccollections\nOrderedDict\n)R"
    storage = b"(" + string("storage") + b"ctorch\nFloatStorage\n" + string(key) + string("cpu")
    storage += numbers((count,))[1:-1] + b"tQ"
    items = b"".join(
        string(name)
        + b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + numbers((offset,))[1:-1]
        + numbers(shape)
        + numbers(stride)
        + b"\x89"
        + ordered
        + b"tR"
        for name, (shape, stride, offset) in views.items()
    )
    return b"\x80\x02" + ordered + b"(" + items + b"u."


def write(path: Path, program: bytes, records: dict[str, bytes] | None = None, compression: int = 0) -> Path:
    records = {"data/0": VALUES.tobytes(), "byteorder": b"little"} if records is None else records
    with zipfile.ZipFile(path, "w", compression) as archive:
        for record, data in {"data.pkl": program, **records}.items():
            archive.writestr(f"model/{record}", data)
    return path


# --- Good files ----------------------------------------------------------------------------------------------------


def test_reads_shapes_strides_and_tied_tensors(tmp_path: Path) -> None:
    program = state_dict(
        matrix=((2, 3), (3, 1), 0),
        transposed=((3, 2), (1, 3), 0),
        column=((2,), (3,), 1),
        scalar=((), (), 5),
        nothing=((0, 4), (4, 1), 0),
    )
    tensors = read_torch_file(write(tmp_path / "a.bin", program))
    assert list(tensors) == ["matrix", "transposed", "column", "scalar", "nothing"]
    np.testing.assert_array_equal(tensors["matrix"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["transposed"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(tensors["column"], [1, 4])
    assert tensors["scalar"].shape == ()
    assert tensors["scalar"] == 5
    assert tensors["nothing"].shape == (0, 4)
    assert np.shares_memory(tensors["matrix"], tensors["transposed"])
    assert not tensors["matrix"].flags.writeable


def test_files_from_before_pytorch_2_state_no_byte_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", state_dict(x=((6,), (1,), 0)), {"data/0": VALUES.tobytes(), "version": b"3"})
    np.testing.assert_array_equal(read_torch_file(path)["x"], VALUES)


def test_imports_neither_torch_nor_pickle(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", state_dict(x=((6,), (1,), 0)))
    script = (
        "import sys; from pathlib import Path; from instructor_jax.io.weights.torch_files import read_torch_file; "
        f"print(read_torch_file(Path({str(path)!r}))['x'].sum(), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["15.0", "False"]


@pytest.mark.torch
class TestAgainstTorch:
    """The same file through PyTorch and through this reader."""

    @staticmethod
    def assert_same(path: Path) -> None:
        import torch

        expected = torch.load(path, weights_only=False)  # PyTorch's own restricted reader knows only protocol 2
        tensors = read_torch_file(path)
        assert list(tensors) == list(expected)
        for key, value in expected.items():
            bits = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
            array = tensors[key]
            assert array.shape == tuple(value.shape), key
            assert str(array.dtype) == str(value.dtype).removeprefix("torch."), key
            np.testing.assert_array_equal(np.ascontiguousarray(array).reshape(-1).view(np.uint8), bits, err_msg=key)

    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_dtypes_views_and_parameters(self, tmp_path: Path, protocol: int) -> None:
        torch = pytest.importorskip("torch")
        base = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
        kinds = ("float32", "float16", "bfloat16", "float64", "bool", "int8", "int16", "int32", "int64")
        kinds += ("uint8", "uint16", "uint32", "uint64")
        content = OrderedDict((kind, base.abs().to(getattr(torch, kind))) for kind in kinds)
        content |= {
            "view": base[1:4, ::2],
            "transposed": base.T,
            "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
            "tied": base,
            "parameter": torch.nn.Parameter(base[:, 3]),
            "tied_parameter": torch.nn.Parameter(base),
            "scalar": torch.tensor(3.5),
            "empty": torch.zeros(0, 5),
        }
        torch.save(content, tmp_path / "a.bin", pickle_protocol=protocol)
        self.assert_same(tmp_path / "a.bin")

    def test_state_dict_of_a_module_with_tied_weights(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        module = torch.nn.ModuleDict({"one": torch.nn.Linear(3, 5), "two": torch.nn.Linear(3, 5)})
        module["two"].weight = module["one"].weight
        torch.save(module.state_dict(), tmp_path / "a.bin")
        self.assert_same(tmp_path / "a.bin")
        tensors = read_torch_file(tmp_path / "a.bin")
        assert np.shares_memory(tensors["one.weight"], tensors["two.weight"])

    def test_refuses_the_format_before_1_6(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        torch.save({"x": torch.ones(2)}, tmp_path / "a.bin", _use_new_zipfile_serialization=False)
        with pytest.raises(ValueError, match=r"before PyTorch 1.6; convert it .*torch.save\(torch.load"):
            read_torch_file(tmp_path / "a.bin")

    @pytest.mark.parametrize("whole", [True, False])
    def test_refuses_more_than_a_flat_state_dict(self, tmp_path: Path, whole: bool) -> None:
        torch = pytest.importorskip("torch")
        module = torch.nn.Linear(2, 2)
        torch.save(module if whole else {"model": module.state_dict(), "epoch": 3}, tmp_path / "a.bin")
        with pytest.raises(ValueError, match=r"torch.nn.modules.linear.Linear" if whole else "entry 'model' is a dict"):
            read_torch_file(tmp_path / "a.bin")


# --- Other and hostile files ---------------------------------------------------------------------------------------

GOOD = state_dict(x=((6,), (1,), 0))


class _Runs:
    """Pickles to a call that creates a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


def test_never_runs_code(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", pickle.dumps({"x": _Runs(tmp_path / "trace")}, protocol=2))
    with pytest.raises(ValueError, match=r"a\.bin is not a PyTorch weight file .*nothing was executed"):
        read_torch_file(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("program", "records", "message"),
    [
        (state_dict("1", x=((6,), (1,), 0)), None, "record 'data/1' is missing"),
        (state_dict("../data.pkl", x=((6,), (1,), 0)), None, "is missing"),
        (state_dict(count=7, x=((6,), (1,), 0)), None, "should have 28 bytes"),
        (state_dict(x=((7,), (1,), 0)), None, "does not fit into its storage of 6 elements"),
        (GOOD, {"byteorder": b"big"}, "little-endian"),
        (GOOD, {"constants.pkl": b"."}, "TorchScript"),
        (GOOD, {}, "record 'data/0' is missing"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, program: bytes, records: dict[str, bytes] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_torch_file(write(tmp_path / "a.bin", program, records))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin like a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "git lfs pull"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.more", "before PyTorch 1.6"),
        (b"PK\x03\x04 and no archive", "damaged or cut short"),
    ],
)
def test_refuses_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_torch_file(tmp_path / "a.bin")


def test_refuses_compressed_and_repeated_records(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="compressed or encrypted"):
        read_torch_file(write(tmp_path / "a.bin", GOOD, compression=zipfile.ZIP_DEFLATED))
    path = write(tmp_path / "b.bin", GOOD)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("model/data/0", bytes(24))
    with pytest.raises(ValueError, match="'data/0' appears twice"):
        read_torch_file(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_torch_file(tmp_path / "absent.bin")


# --- Damaged files -------------------------------------------------------------------------------------------------


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    program = state_dict(a=((2, 3), (3, 1), 0), b=((3, 2), (1, 3), 0))
    return write(tmp_path / "sound.bin", program).read_bytes()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, sound: bytes) -> None:
    for length in (*range(0, len(sound), 3), len(sound) - 1):
        (tmp_path / "a.bin").write_bytes(sound[:length])
        with pytest.raises(ValueError, match=r"a\.bin"):
            read_torch_file(tmp_path / "a.bin")


def test_a_changed_byte_never_changes_a_weight(tmp_path: Path, sound: bytes) -> None:
    """Every record has a checksum: a flipped byte is noticed, or it is one that says nothing, such as a date."""
    (tmp_path / "a.bin").write_bytes(sound)
    expected = {key: value.tolist() for key, value in read_torch_file(tmp_path / "a.bin").items()}
    refused = 0
    for position in range(len(sound)):
        damaged = bytearray(sound)
        damaged[position] ^= (0x01, 0x80, 0xFF)[position % 3]
        (tmp_path / "b.bin").write_bytes(damaged)
        try:
            read = read_torch_file(tmp_path / "b.bin")
        except ValueError:
            refused += 1
        else:
            assert {key: value.tolist() for key, value in read.items()} == expected
    assert refused > len(sound) // 2
