"""What each opcode of pickle, protocols 0 to 5, does on a `PickleMachine`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kinflow.files.pickle_bytes import Damaged, PickleBytes
from kinflow.files.pickle_machine import PickleMachine

_STOP = ord(".")
_Action = Callable[[PickleMachine], object]


def run(machine: PickleMachine) -> Any:
    """The value that a pickle builds.

    Raises:
        InputError: the pickle asks for what is refused.
        ValueError: it is damaged; other kinds of exception are possible then too.
    """
    while (opcode := machine.source.opcode()) != _STOP:
        action = _ACTIONS.get(opcode)
        if action is None:
            raise Damaged(f"{bytes([opcode])!r} is no opcode")
        machine.count_step()
        action(machine)
    return machine.take()


def _from_source(read: Callable[[PickleBytes], Any]) -> _Action:
    """Push what is read from the bytes that follow the opcode."""
    return lambda machine: machine.push_paid(read(machine.source))


def _sized(read: Callable[[PickleBytes, int], Any], width: int, signed: bool = False) -> _Action:
    """Push what is read by its length, a number of `width` bytes."""

    def action(machine: PickleMachine) -> None:
        source = machine.source
        length = source.signed(width) if signed else source.unsigned(width)
        machine.push_paid(read(source, length))

    return action


def _indexed(use: Callable[[PickleMachine, int], None], width: int) -> _Action:
    """Use a memo entry by its number of `width` bytes, or on a line of its own."""
    if not width:
        return lambda machine: use(machine, machine.source.index_line())
    return lambda machine: use(machine, machine.source.unsigned(width))


_Machine, _Bytes = PickleMachine, PickleBytes
_BY_OPCODE: dict[bytes, _Action] = {
    # numbers and constants
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": _Machine.integer_line,
    b"L": _from_source(lambda s: int(s.number_line().removesuffix("L"), 0)),
    b"F": _from_source(lambda s: float(s.number_line())),
    b"J": _from_source(lambda s: s.signed(4)),
    b"K": _from_source(lambda s: s.unsigned(1)),
    b"M": _from_source(lambda s: s.unsigned(2)),
    b"\x8a": _sized(_Bytes.long, 1),
    b"\x8b": _sized(_Bytes.long, 4, signed=True),
    b"G": _from_source(_Bytes.double),
    # text and bytes
    b"S": _from_source(_Bytes.quoted_line),
    b"T": _sized(_Bytes.latin1, 4, signed=True),
    b"U": _sized(_Bytes.latin1, 1),
    b"V": _from_source(_Bytes.escaped_line),
    b"X": _sized(_Bytes.utf8, 4),
    b"\x8c": _sized(_Bytes.utf8, 1),
    b"\x8d": _sized(_Bytes.utf8, 8),
    b"B": _sized(_Bytes.take, 4),
    b"C": _sized(_Bytes.take, 1),
    b"\x8e": _sized(_Bytes.take, 8),
    b"\x96": _sized(lambda s, count: bytearray(s.take(count)), 8),
    # containers
    b"]": lambda m: m.push_new(list),
    b"}": lambda m: m.push_new(dict),
    b")": lambda m: m.push(()),
    b"\x8f": lambda m: m.push_new(set),
    b"l": _Machine.make_list,
    b"d": _Machine.make_dict,
    b"t": _Machine.make_tuple,
    b"\x85": lambda m: m.make_tuple(1),
    b"\x86": lambda m: m.make_tuple(2),
    b"\x87": lambda m: m.make_tuple(3),
    b"\x91": _Machine.make_frozenset,
    b"a": _Machine.append,
    b"e": lambda m: m.append(m.pop_mark()),
    b"s": _Machine.set_items,
    b"u": lambda m: m.set_items(m.pop_mark()),
    b"\x90": lambda m: m.add_items(m.pop_mark()),
    # stack and memo
    b"(": _Machine.mark,
    b"0": _Machine.pop,
    b"1": lambda m: m.pop_mark(),
    b"2": _Machine.duplicate,
    b"p": _indexed(_Machine.memoize, 0),
    b"q": _indexed(_Machine.memoize, 1),
    b"r": _indexed(_Machine.memoize, 4),
    b"\x94": _Machine.memoize,
    b"g": _indexed(_Machine.recall, 0),
    b"h": _indexed(_Machine.recall, 1),
    b"j": _indexed(_Machine.recall, 4),
    # names and objects
    b"c": lambda m: m.push_name(m.source.name_line(), m.source.name_line()),
    b"\x93": _Machine.stack_name,
    b"R": _Machine.reduce,
    b"i": _Machine.instance,
    b"o": _Machine.object,
    b"\x81": _Machine.new_object,
    b"\x92": lambda m: m.new_object(has_keywords=True),
    b"b": _Machine.build,
    # the file
    b"\x80": _Machine.protocol,
    b"\x95": lambda m: m.source.check_left(m.source.unsigned(8)),
    # what is elsewhere
    b"P": lambda m: m.refuse(f"an object {ascii(m.source.name_line())[:80]}"),
    b"Q": _Machine.refer,
    b"\x82": lambda m: m.refuse("a registered extension"),
    b"\x83": lambda m: m.refuse("a registered extension"),
    b"\x84": lambda m: m.refuse("a registered extension"),
    b"\x97": lambda m: m.refuse("a buffer"),
    b"\x98": lambda m: m.refuse("a buffer"),
}
_ACTIONS = {code[0]: action for code, action in _BY_OPCODE.items()}
