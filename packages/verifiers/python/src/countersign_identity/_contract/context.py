"""Section 5 of the contract: the dictionary in `x-identity-context`."""

import ipaddress
import re
from dataclasses import fields

from ..identity import Actor, IdentityContext
from .headers import Check, is_id, is_role

_QUOTED = r'"[ !#-\[\]-~]*"'
_VALUE = rf"{_QUOTED}(?:;iss={_QUOTED})?|0|[1-9][0-9]{{0,9}}|\( *{_QUOTED}(?: +{_QUOTED})* *\)"
_MEMBER = re.compile(rf" *([a-z-]+)=({_VALUE}) *(,|\Z)")
_STRING = re.compile(r'"([^"]*)"')
_is_issuer = re.compile(r"[!#-\[\]-~]{1,512}").fullmatch
_is_subject = re.compile(r"[!#-\[\]-~]{1,255}").fullmatch
_is_thumbprint = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch
_is_method = re.compile(r"[A-Za-z0-9._:-]{1,64}").fullmatch
is_scope = re.compile(r"[!#-\[\]-~]{1,128}").fullmatch
# `ip="`, the longest IPv6 address, `", `: whether a context fits must not depend on the client's address.
_LONGEST_WITHOUT_IP = 2048 - 52


def _is_address(value: str) -> bool:
    try:
        return "%" not in value and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


_TEXTS: dict[str, Check] = {"ip": _is_address, "iss": _is_issuer, "sid": is_id, "jkt": _is_thumbprint, "client": is_id}
# The grammar of an item, the largest number of items, and whether they must differ.
_LISTS = {"amr": (_is_method, 16, False), "scope": (is_scope, 64, True), "roles": (is_role, 64, True)}


def _member(name: str, raw: str) -> object:
    """Return the value, or None if the member is unknown or its type or grammar is another one."""
    texts = tuple(_STRING.findall(raw))
    if name in _LISTS:
        is_valid, most, must_differ = _LISTS[name]
        differ = not must_differ or len({*texts}) == len(texts)
        return texts if raw[0] == "(" and len(texts) <= most and differ and all(map(is_valid, texts)) else None
    if name == "auth-time":
        return int(raw) if raw.isdecimal() else None
    if raw[0] != '"':
        return None
    if name == "act":
        return Actor(*texts) if len(texts) == 2 and _is_subject(texts[0]) and _is_issuer(texts[1]) else None
    return texts[0] if name in _TEXTS and len(texts) == 1 and _TEXTS[name](texts[0]) else None


def parse_context(text: str) -> IdentityContext | None:
    """Return the members, or None for any other form. A string has no escapes, so it ends at the next quote."""
    members: dict[str, object] = {}
    at, more = 0, text != ""
    while more:
        match = _MEMBER.match(text, at)
        value = match and _member(match[1], match[2])
        if match is None or value is None or (name := match[1].replace("-", "_")) in members:
            return None
        members[name] = value
        at, more = match.end(), match[3] == ","
    return IdentityContext(**members)  # type: ignore[arg-type]  # _member returns the type of each field.


def _serialize(value: object) -> str:
    if isinstance(value, Actor):
        return f'"{value.sub}";iss="{value.iss}"'
    if isinstance(value, tuple):
        return f"({' '.join(map(_serialize, value))})"
    return str(value) if isinstance(value, int) else f'"{value}"'


def context_members(context: IdentityContext) -> list[str]:
    """Return the members of the header's value. Raise ValueError for a value outside the contract."""
    values = [(field.name.replace("_", "-"), getattr(context, field.name)) for field in fields(context)]
    members = [f"{name}={_serialize(value)}" for name, value in values if value is not None]
    if parse_context(", ".join(members)) != context:
        raise ValueError("the context is outside the identity contract")
    return members


def serialize_context(context: IdentityContext) -> str:
    """Return the header's value. Raise ValueError for a value outside the contract."""
    members = context_members(context)
    if len(", ".join(member for member in members if not member.startswith("ip="))) > _LONGEST_WITHOUT_IP:
        raise ValueError("the context is outside the identity contract: it is too long")
    return ", ".join(members)
