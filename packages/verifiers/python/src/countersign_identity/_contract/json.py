"""JSON, without what json.loads adds to it or Python alone can hold."""

import json
import math
from typing import Any, NoReturn


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float | int:
    value = float(text)
    if not math.isfinite(value):
        _refuse("an infinite number")
    return int(text) if text.lstrip("-").isdecimal() else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a member is repeated")
    return dict(pairs)


def parse_json(text: bytes) -> object:
    """Return what is in UTF-8, also after a byte order mark. Raise ValueError or RecursionError."""
    return json.loads(text.decode("utf-8-sig"), parse_constant=_refuse, parse_int=float)


def parse_strict_json(text: bytes) -> object:
    """Also refuse what parsers read in different ways: RFC 7493, section 2."""
    numbers = {"parse_constant": _refuse, "parse_float": _number, "parse_int": _number}
    value = json.loads(text.decode(), object_pairs_hook=_unique, **numbers)
    json.dumps(value, ensure_ascii=False).encode()  # Raises a ValueError for half of a surrogate pair.
    return value
