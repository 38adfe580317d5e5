"""The words of a command line against the flags of its command: what does not fit is one sentence.

Values are checked by the types of the command's own fields, and integers may be written as 1e6 or 1_000_000.
"""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from tyro.conf import FlagCreatePairsOff, Positional
from tyro.constructors import PrimitiveConstructorSpec

from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.settings import SETTINGS, flag
from jaxsamp.core import checks

HELP = {"-h", "--help"}
LONGEST = 30  # digits of an integer
ALIKE = 0.7  # ratio from which an unknown flag is taken for a known one; all of them begin alike
POSITIONAL, WITHOUT_PAIR = get_args(Positional[int])[1], get_args(FlagCreatePairsOff[int])[1]


def _sides(words: list[str]) -> int | tuple[int, ...]:
    first, *more = map(int, words[0].split())
    return (first, *more) if more else first


ImageSize = Annotated[
    int | tuple[int, int],
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT [INT]",
        instance_from_str=_sides,
        is_instance=lambda value: isinstance(value, int | tuple),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""One number of pixels, or a height and a width."""


@dataclass(frozen=True)
class Option:
    """A flag, or a word without one.

    Attributes:
        name: as `settings.flags` has it.
        kinds: the types of its value.
        markers: tyro's markers.
        required: whether it has no default.
    """

    name: str
    kinds: tuple[Any, ...]
    markers: tuple[Any, ...]
    required: bool

    @property
    def called(self) -> str:
        """The option as the user knows it."""
        return self.name.upper() if POSITIONAL in self.markers else flag(self.name)


def options(kind: type, prefix: str = "") -> Iterator[Option]:
    """All options of a command."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint, markers = _plain(hints[field.name])
        if isinstance(hint, type) and is_dataclass(hint):
            choice = field.name.removesuffix(SETTINGS)
            inner = f"{choice}." if choice != field.name else prefix and f"{prefix}{field.name}."
            yield from options(hint, inner)
            continue
        kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        required = field.default is MISSING and field.default_factory is MISSING
        yield Option(f"{prefix}{field.name}", kinds, markers, required)


def checked(kind: Any, words: Sequence[str], command: str) -> list[str]:
    """The words as tyro takes them; `command` is the name of the command.

    Raises:
        BadArgument: a word is no option, or has no place; or an option lacks its value, or has one of another type.
    """
    every, left, out, given = list(options(kind)), list(words), [], set()
    flags = {flag(option.name): option for option in every if POSITIONAL not in option.markers}
    places = [option for option in every if POSITIONAL in option.markers]
    switches = {name: option for name, option in flags.items() if option.kinds == (bool,)}
    off = {_off(name): option for name, option in switches.items() if WITHOUT_PAIR not in option.markers}
    while left:
        word = left.pop(0)
        name = word.replace("_", "-")
        if not _is_flag(word):
            if not places:
                raise BadArgument(f"{word!r} has no place in {command}, because no option before it takes it.")
            option = places.pop(0)
            out.append(_value(option, word))
        elif name in switches or name in off:
            option = {**switches, **off}[name]
            out.append(name)
        elif name in flags:
            option = flags[name]
            out += [name, *_values(option, left)]
        else:
            raise _unknown(kind, name, left, [*flags, *off], words, command)
        given.add(option.name)
    for option in every:
        if option.required and option.name not in given:
            raise BadArgument(f"{command} needs {option.called}; see jaxsamp {command} --help.")
    return out


def no_command(words: Sequence[str], commands: Mapping[str, Any], group: str = "") -> BadArgument:
    """The sentence about words that begin with no command, or with none of a group."""
    listed, after = ", ".join(commands), f" after {group}" if group else ""
    if not words:
        see = f"jaxsamp {group} --help" if group else "jaxsamp --help"
        return BadArgument(f"a command is needed{after}, one of {listed}; see {see}.")
    hint = "" if _is_flag(words[0]) else checks.hint(words[0], commands)
    return BadArgument(f"the command{after} must be one of {listed}; got {words[0]!r}.{hint}")


def text_of(box: str) -> str:
    """A message of tyro without its box, as one line."""
    return " ".join(re.sub(r"[\u2500-\u257f]+", " ", box).split())


def _plain(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations, and these."""
    if get_origin(hint) is not Annotated:
        return hint, ()
    plain, *markers = get_args(hint)
    return plain, tuple(markers)


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not _is_number(word)


def _is_number(word: str) -> bool:
    try:
        return float(word) is not None
    except ValueError:
        return False


def _integer(word: str) -> str | None:
    """An integer as Python writes it, given as 1000, 1_000 or 1e3; None if it is none."""
    try:
        number = Decimal(word)
    except InvalidOperation:
        return None
    whole = number.is_finite() and number.adjusted() < LONGEST and number == number.to_integral_value()
    return str(int(number)) if whole else None


def _off(name: str) -> str:
    """The flag that turns a switch off: --no-metrics, --sampler.no-antithetic."""
    group, dot, own = name.removeprefix("--").rpartition(".")
    return f"--{group}{dot}no-{own}"


def _values(option: Option, left: list[str]) -> list[str]:
    """The values of an option, taken from the words that are left."""
    for kind in option.kinds:
        if get_origin(kind) is tuple and get_args(kind)[-1] is ...:
            found = []
            while left and not _is_flag(left[0]):
                found.append(_value(option, left.pop(0), get_args(kind)[:1]))
            return found
    if not left or _is_flag(left[0]):
        raise BadArgument(f"{option.called} needs a value.")
    first = _value(option, left.pop(0))
    pair = tuple[int, int] in option.kinds and left and _integer(left[0])
    return [f"{first} {_integer(left.pop(0))}" if pair else first]


def _value(option: Option, word: str, kinds: tuple[Any, ...] = ()) -> str:
    """One value, checked."""
    kinds = kinds or option.kinds
    if not word:
        raise BadArgument(f"{option.called} must not be empty.")
    if type(None) in kinds and word == "None":
        return word
    if float in kinds and str not in kinds and not _is_number(word):
        raise BadArgument(f"{option.called} must be a number; got {word!r}.")
    if int not in kinds or float in kinds:
        return word
    # A height and a width come as one word from `words_of`, and from users who quote them.
    numbers = [_integer(part) for part in (word.split() if tuple[int, int] in kinds else [word])]
    if None in numbers or not 1 <= len(numbers) <= 2:
        raise BadArgument(f"{option.called} must be an integer; got {word!r}.")
    return " ".join(map(str, numbers))


def _unknown(
    kind: Any, name: str, left: Sequence[str], known: Sequence[str], words: Sequence[str], command: str
) -> BadArgument:
    """The sentence about a flag that the command does not have."""
    for choice, (named, nested) in kind.choices.items():
        start = f"{flag(choice)}."
        if not name.startswith(start):
            continue
        own = [other for other in known if other.startswith(start)]
        chosen = next(field.default for field in fields(kind) if field.name == choice)
        for word, value in zip(words, words[1:], strict=False):
            chosen = value if word == flag(choice) else chosen
        try:
            checks.one_of(flag(choice), chosen, named)
            if any(other.startswith(f"{name}.") for other in own):
                checks.one_of(name, left[0] if left else "", nested)
        except ValueError as error:
            return BadArgument(str(error))
        has = ", ".join(own) or "none"
        return BadArgument(f"{name} is not a setting of the {choice} {chosen}, which has {has}.")
    hint = checks.hint(name, known, ALIKE) or f" See jaxsamp {command} --help."
    return BadArgument(f"{command} has no {name}.{hint}")
