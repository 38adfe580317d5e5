"""What a compiled program sends between devices, read from its HLO."""

import math
import re
from typing import Any, NamedTuple

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
BITS = {"pred": 8, "s4": 4, "u4": 4, "bf16": 16} | {f"{kind}{bits}": bits for kind in "suf" for bits in (8, 16, 32, 64)}

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_OPERATION = re.compile(rf"= (?P<shape>.*?) (?P<kind>{'|'.join(KINDS)})(?:-start)?\(")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|branch_computations|called_computations)=\{?(%?[\w.\-, %]+)")
_LOOP = re.compile(r" while\(.*(?:condition|body)=%?([\w.\-]+),.*(?:condition|body)=%?([\w.\-]+)")
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


class Collective(NamedTuple):
    """One operation in which devices exchange data.

    Attributes:
        kind: as XLA names it, such as "all-gather".
        bytes: size of its result on one device.
        in_loop: whether a loop repeats it.
    """

    kind: str
    bytes: int
    in_loop: bool


def collectives(compiled: Any) -> list[Collective]:
    """The exchanges between devices in a compiled program, in the order of its text.

    Args:
        compiled: `jax.jit(f).lower(...).compile()`, or its text.
    """
    inside, found = None, []
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
                found.append((inside, operation["kind"], _size(operation["shape"])))
    while more := {name for caller in looped for name in calls.get(caller, ())} - looped:
        looped |= more
    return [Collective(kind, size, place in looped) for place, kind, size in found]


def _size(shape: str) -> int:
    """Bytes of an array or a tuple of arrays."""
    arrays = ((BITS[kind], math.prod(int(n) for n in dims.split(",") if n)) for kind, dims in _ARRAY.findall(shape))
    return sum(-(-bits * count // 8) for bits, count in arrays)
