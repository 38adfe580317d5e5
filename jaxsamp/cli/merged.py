"""The settings of several kinds of objects as flags of one command, as of `--network` and `--operator`."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, make_dataclass
from typing import Annotated, Any, get_type_hints

from tyro.conf import FlagCreatePairsOff, arg

from jaxsamp.cli.settings import described, flags

METAVARS = {int: "INT", float: "FLOAT"}


def merged(name: str, kinds: Mapping[str, type], doc: str, left_out: Iterable[str] = ()) -> Any:
    """A dataclass object with the fields of all kinds, each None or False; --help says of which kinds each is.

    Args:
        name: its name.
        kinds: dataclasses by the names that users know. Fields of one name have one meaning and one type.
        doc: the summary.
        left_out: fields that are no flags.
    """
    settings: dict[str, Any] = {}
    for kind_name, kind in kinds.items():
        hints, docs = get_type_hints(kind), described(kind)
        for field in fields(kind):
            if field.name not in left_out:
                known = settings.setdefault(field.name, (hints[field.name], docs.get(field.name, ""), []))
                known[2].append(kind_name)
    added: list[Any] = []
    for field_name, (hint, help, having) in settings.items():
        about = {"help": help, "help_behavior_hint": f"({', '.join(having)})"}
        if hint is bool:
            added.append((field_name, Annotated[FlagCreatePairsOff[bool], arg(**about)], False))
        else:
            metavar = METAVARS.get(hint, "INT ...")
            added.append((field_name, Annotated[hint | None, arg(metavar=metavar, **about)], None))
    return make_dataclass(name, added, frozen=True, namespace={"__doc__": doc, "__module__": __name__})()


def given(settings: Any) -> dict[str, Any]:
    """Those settings of a `merged` object that are given."""
    return {name: value for name, value in flags(settings) if value is not None and value is not False}
