"""Parses `x-identity-context`: section 5 of docs/identity-contract.md."""

import ipaddress
import re

ID = re.compile(r"[A-Za-z0-9._~:@|-]{1,128}")
ROLE = re.compile(r"[a-z0-9_-]{1,64}")


def full(pattern):
    return lambda value: pattern.fullmatch(value) is not None


STRING = re.compile(r'"([ !#-\[\]-~]*)"')
QUOTED = r'"[ !#-\[\]-~]*"'
MEMBER = re.compile(rf'([a-z-]+)=({QUOTED}(?:;iss={QUOTED})?|0|[1-9][0-9]{{0,9}}|\( *{QUOTED}(?: +{QUOTED})* *\))')


def is_address(value):
    try:
        return "%" not in value and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


is_issuer = full(re.compile(r"[!#-\[\]-~]{1,512}"))
is_subject = full(re.compile(r"[!#-\[\]-~]{1,255}"))
STRINGS = {
    "ip": is_address,
    "iss": is_issuer,
    "sid": full(ID),
    "jkt": full(re.compile(r"[A-Za-z0-9_-]{43}")),
    "client": full(ID),
}
# For each list: the grammar of an item, the maximum number of items, and whether all must differ.
LISTS = {
    "amr": (full(re.compile(r"[A-Za-z0-9._:-]{1,64}")), 16, False),
    "scope": (full(re.compile(r"[!#-\[\]-~]{1,128}")), 64, True),
    "roles": (full(ROLE), 64, True),
}


def parse_context(text):
    """The members, or None for any other form. Strings contain no escapes, so a quoted string ends at the next quote."""
    context, rest = {}, text.strip(" ")
    while rest:
        match = MEMBER.match(rest)
        name = match and match[1].replace("-", "_")
        value = match and parse_member(match[1], match[2])
        if value is None or name in context:
            return None
        context[name] = value
        rest = rest[match.end():].lstrip(" ")
        if rest:
            comma, rest = rest[0] == ",", rest[1:].lstrip(" ")
            if not comma or not rest:
                return None
    return context


def parse_member(key, value):
    """The value of a member, or None if its type or grammar is wrong."""
    items = STRING.findall(value)
    if key in STRINGS:
        return items[0] if value[0] == value[-1] == '"' and len(items) == 1 and STRINGS[key](items[0]) else None
    if key in LISTS:
        matches, most, distinct = LISTS[key]
        good = value[0] == "(" and len(items) <= most and all(map(matches, items))
        return items if good and not (distinct and len(set(items)) < len(items)) else None
    if key == "act":
        good = len(items) == 2 and value[0] == '"' and is_subject(items[0]) and is_issuer(items[1])
        return {"sub": items[0], "iss": items[1]} if good else None
    return int(value) if key == "auth-time" and value[0] not in '"(' else None
