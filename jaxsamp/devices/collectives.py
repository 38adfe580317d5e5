"""What a compiled program sends between devices, read from its HLO."""

import math
import re
from typing import Any, NamedTuple

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_OPERATION = re.compile(rf"= (?P<shape>.*?) (?P<kind>{'|'.join(KINDS)})(?P<start>-start)?\(")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|branch_computations|called_computations)=\{?(%?[\w.\-, %]+)")
_LOOP = re.compile(r" while\(.*(?:condition|body)=%?([\w.\-]+),.*(?:condition|body)=%?([\w.\-]+)")
_ARRAY = re.compile(r"(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")  # such as f32[4,8] and f8e4m3fn[16]


class Collective(NamedTuple):
    """One operation in which devices exchange data.

    Attributes:
        kind: XLA's name for it, such as "all-gather".
        bytes: size of its result on one device.
        in_loop: whether it is inside a loop.
    """

    kind: str
    bytes: int
    in_loop: bool


def collectives(compiled: Any) -> list[Collective]:
    """The exchanges between devices in a compiled program, in the order of its text.

    Args:
        compiled: `jax.jit(f).lower(...).compile()`, or its text.
    """
    inside, exchanges = None, []
    calls: dict[str, set[str]] = {}
    looped: set[str] = set()
    for line in (compiled if isinstance(compiled, str) else compiled.as_text()).splitlines():
        if start := _COMPUTATION.match(line):
            inside = start[1]
            calls[inside] = set()
        elif inside is not None:
            if loop := _LOOP.search(line):
                looped |= set(loop.groups())
            for names in _CALLED.findall(line):
                calls[inside] |= {name.strip(" %") for name in names.split(",")}
            if operation := _OPERATION.search(line):
                exchanges.append((inside, operation["kind"], _size(operation)))
    while more := {name for caller in looped for name in calls.get(caller, ())} - looped:
        looped |= more
    return [Collective(kind, size, place in looped) for place, kind, size in exchanges]


def _size(operation: re.Match[str]) -> int:
    """Bytes of the result, an array or a tuple of arrays. A "-start" operation lists its operands in front of them."""
    arrays = [
        -(-int(bits or 8) * math.prod(int(n) for n in dims.split(",") if n) // 8)  # a boolean takes a byte
        for _, bits, dims in _ARRAY.findall(operation["shape"])
    ]
    if operation["start"] and operation["kind"] == "all-gather":
        arrays = arrays[len(arrays) // 2 :]
    elif operation["start"] and operation["kind"] == "collective-permute":
        arrays = arrays[1:2]  # operand, result, counters
    return sum(arrays)
