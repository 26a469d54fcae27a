"""Interprets the pickle inside a PyTorch file as data: nothing is imported, called or constructed.

A pickle is a small program, and unpickling runs it. What `torch.save` writes for a state dict needs some thirty opcodes
and two dozen global names, so this file walks the opcodes itself, keeps names as plain records, and refuses whatever
else appears before it could have an effect. Few opcodes and short texts are allowed, so that no program, however it
nests or repeats, takes more memory than its file and some 150 MB (the worst programs known are in the tests).
"""

import io
import pickletools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from instructor_jax.io.bounds import PICKLE_BYTES, PICKLE_OPCODES, PICKLE_TEXT_BYTES
from instructor_jax.io.printable import shown
from instructor_jax.io.weights.torch_records import KNOWN_NAMES, REBUILDERS, GlobalName, TensorRecord, storage_of


def interpret_state_dict(program: bytes | memoryview) -> dict[str, TensorRecord]:
    """The tensors that the pickle `program` of a flat state dict describes, in its order.

    Raises:
        ValueError: the program is damaged, longer than a state dict needs, mentions a global name that no state dict
            needs, uses an opcode that could run code, or holds anything but a flat dictionary of tensors. The message
            does not name the file.
    """
    if len(program) > PICKLE_BYTES:
        raise ValueError(f"its pickle has {len(program):,} bytes; a state dict needs a few hundred per tensor")
    result = _Machine().run(_opcodes(bytes(program)))
    if type(result) is not dict:
        raise ValueError(f"it holds {_kind(result)}, not a state dict")
    for name, value in result.items():
        if type(value) is dict:
            entry = shown(name, 80)
            raise ValueError(
                f"its entry {entry} is a dict, not a tensor: the weights lie one level deeper. With PyTorch, save only "
                f"them: torch.save(torch.load(path, weights_only=True)[{entry}], new_path)"
            )
        if type(value) is not TensorRecord:
            raise ValueError(
                f"its entry {shown(name, 80)} is {_kind(value)}, not a tensor; with PyTorch, save only the flat "
                "state dict"
            )
    return result


class _Machine:
    """The stack machine of the pickle format, reduced to what a state dict needs."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # what lies under each open mark, outermost first
        self.memo: dict[int, Any] = {}

    def run(self, opcodes: Iterator[tuple[str, Any]]) -> Any:
        for opcode, argument in opcodes:
            if opcode == "STOP":
                return self.pop()
            if opcode in _LITERALS:
                self.stack.append(argument)
            elif opcode in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode]())
            elif opcode in _TUPLES:
                self.stack.append(tuple([self.pop() for _ in range(_TUPLES[opcode])][::-1]))
            elif opcode not in _IGNORED:
                _STEPS[opcode](self, argument)
        raise ValueError("the pickle is damaged: it does not stop")

    def pop(self) -> Any:
        if not self.stack:
            raise ValueError("the pickle is damaged: it takes more from its stack than it put there")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        if not self.below:
            raise ValueError("the pickle is damaged: it closes a mark that it never opened")
        items, self.stack = self.stack, self.below.pop()
        return items

    def container(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise ValueError(f"the pickle adds to something that is not a {kind.__name__}; nothing was executed")
        return self.stack[-1]

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def close_tuple(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append(tuple(items))

    def append(self, _: Any) -> None:
        item = self.pop()
        self.container(list).append(item)

    def appends(self, _: Any) -> None:
        items = self.pop_mark()
        self.container(list).extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        _insert(self.container(dict), [key, value])

    def set_items(self, _: Any) -> None:
        items = self.pop_mark()
        _insert(self.container(dict), items)

    def put(self, index: int | None) -> None:
        value = self.pop()
        self.stack.append(value)
        self.memo[len(self.memo) if index is None else index] = value

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError(f"the pickle is damaged: it recalls entry {index}, which it never stored")
        self.stack.append(self.memo[index])

    def name(self, names: tuple[str, str]) -> None:
        self.stack.append(_allowed(*names))

    def stack_name(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(_allowed(module, name))

    def persistent(self, _: Any) -> None:
        self.stack.append(storage_of(self.pop()))

    def reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        rebuild = REBUILDERS.get(function.name) if type(function) is GlobalName else None
        if rebuild is None or type(arguments) is not tuple:
            raise ValueError(f"the pickle calls {_kind(function)}; refused, nothing was executed")
        self.stack.append(rebuild(arguments))

    def build(self, _: Any) -> None:
        # The state is `_metadata`, which nn.Module hangs on its OrderedDict; it says nothing about the weights.
        self.pop()
        self.container(dict)


_IGNORED = {"PROTO", "FRAME"}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.close_tuple,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "MEMOIZE": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "BINPERSID": _Machine.persistent,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}


_OPCODES = {
    opcode.code.encode("latin-1"): opcode
    for opcode in pickletools.opcodes
    if opcode.name in {"STOP", *_IGNORED, *_LITERALS, *_CONSTANTS, *_TUPLES, *_STEPS}
}


def _opcodes(program: bytes) -> Iterator[tuple[str, Any]]:
    """The program's opcodes with their arguments, which are parsed only for opcodes that have a place here."""
    stream = io.BytesIO(program)
    count = 0
    while code := stream.read(1):
        count += 1
        if count > PICKLE_OPCODES:
            raise ValueError(f"its pickle has more than {PICKLE_OPCODES:,} steps; a state dict needs 35 per tensor")
        opcode = _OPCODES.get(code)
        if opcode is None:
            known = {known.code: known.name for known in pickletools.opcodes}.get(code.decode("latin-1"), code.hex())
            raise ValueError(f"the pickle opcode {known} has no place in a state dict; refused, nothing was executed")
        try:
            if opcode.name == "GLOBAL":  # pickletools resolves escapes in it, which the pickle format does not have
                argument = tuple(stream.readline(PICKLE_TEXT_BYTES).decode("ascii").removesuffix("\n") for _ in "mn")
            else:
                argument = opcode.arg.reader(stream) if opcode.arg else None
        except ValueError as error:
            raise ValueError(f"the pickle is damaged: {error}") from error
        if type(argument) is str and len(argument) > PICKLE_TEXT_BYTES:
            raise ValueError(f"the pickle has a text of {len(argument):,} characters; names are shorter")
        yield opcode.name, argument


def _allowed(module: Any, name: Any) -> GlobalName:
    full = f"{module}.{name}" if type(module) is str and type(name) is str else "something unnamed"
    if full not in KNOWN_NAMES:
        raise ValueError(
            f"the pickle refers to {shown(full, 80)}, which no state dict needs; refused, nothing was executed. "
            "If you trust where it comes from, load it with PyTorch and save the model's state dict as safetensors"
        )
    return GlobalName(full)


def _insert(target: dict[str, Any], items: Sequence[Any]) -> None:
    if len(items) % 2:
        raise ValueError("the pickle is damaged: a dictionary has a key without a value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is not str:
            raise ValueError(f"a dictionary has {_kind(key)} as a key, not a name; only flat state dicts are read")
        if key in target:
            raise ValueError(f"the name {shown(key, 80)} appears twice")
        target[key] = value


def _kind(value: Any) -> str:
    """What a value is, without its content: a hostile pickle can nest values whose text has no end."""
    return repr(value.name) if type(value) is GlobalName else f"a {type(value).__name__}"
