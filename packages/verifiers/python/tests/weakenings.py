"""Verifiers that someone could write by mistake: replacements in our own source. Some vector must find each of them.

Run it: `python3 tests/weakenings.py` prints those that no vector finds.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src" / "countersign_identity"
HEADERS, CONTEXT, RFC9421 = "_contract/headers.py", "_contract/context.py", "_contract/rfc9421.py"
JWKS, AGREEMENT, VERIFIER, REPLAY, KEYS = "_keys/jwks.py", "_keys/agreement.py", "verifier.py", "replay.py", "keys.py"

Weakening = tuple[str, str, str]
MAC = "hmac.compare_digest(self.sign(base), signature)"
CLAIM = "NonceClaim(self.audience, given.nonce, given.created, keep_until, now, is_read)"

WEAKENINGS: list[Weakening] = [
    # Signatures.
    (RFC9421, MAC, "hmac.compare_digest(self.sign(base)[:16], signature[:16])"),
    (RFC9421, MAC, "hmac.compare_digest(self.sign(base)[1:], signature[1:])"),
    (RFC9421, MAC, "hmac.compare_digest(self.sign(base), signature[:32])"),
    (RFC9421, MAC, "self.sign(base).startswith(signature[:31])"),
    (RFC9421, "_INPUT.fullmatch(headers", "_INPUT.match(headers"),
    (RFC9421, "_INPUT.fullmatch(headers", "_INPUT.search(headers"),
    (RFC9421, "_SIGNATURE.fullmatch(headers", "_SIGNATURE.match(headers"),
    (RFC9421, "_SIGNATURE.fullmatch(headers", "_SIGNATURE.search(headers"),
    (RFC9421, " or b64encode(signature).decode() != encoded[1]", ""),
    (RFC9421, " or len(given[0]) > 1024", ""),
    (RFC9421, "len(given[0]) > 1024", "len(given[0]) > 1025"),
    (RFC9421, "(?P<created>0|[1-9][0-9]{0,11})", "(?P<created>[0-9]{1,12})"),
    (RFC9421, "(?P<expires>0|[1-9][0-9]{0,11})", "(?P<expires>[0-9]{1,15})"),
    (RFC9421, "(?P<nonce>[A-Za-z0-9_-]{16,64})", "(?P<nonce>[A-Za-z0-9_-]{1,64})"),
    (RFC9421, "(?P<nonce>[A-Za-z0-9_-]{16,64})", "(?P<nonce>[A-Za-z0-9_+/-]{16,64})"),
    (RFC9421, "if named != tag:", "if False:"),
    (RFC9421, "if key.algorithm != given.algorithm:", "if False:"),
    (RFC9421, "    if not key.verify(base, signature):", "    if False:"),
    (RFC9421, "0 < given.expires - given.created <= longest", "0 <= given.expires - given.created <= longest"),
    (RFC9421, "given.expires - given.created <= longest", "given.expires - given.created < longest"),
    (RFC9421, "given.expires - given.created <= longest", "given.expires - given.created <= longest + 1"),
    (RFC9421, "given.created > now + tolerance", "given.created > now + tolerance + 1"),
    (RFC9421, "given.created > now + tolerance", "given.created > now"),
    (RFC9421, "now > given.expires + tolerance", "now > given.expires + tolerance + 1"),
    (RFC9421, "now > given.expires + tolerance", "now >= given.expires + tolerance"),
    (RFC9421, '{query or "?"}', "{query}"),
    (VERIFIER, "if given.components != rfc9421.component_list(covered):", "if False:"),
    (VERIFIER, 'headers["x-identity-audience"] != self.audience', "False"),
    (
        VERIFIER,
        'headers["x-identity-audience"] != self.audience',
        'not headers["x-identity-audience"].endswith(self.audience)',
    ),
    (
        VERIFIER,
        'headers["x-identity-audience"] != self.audience',
        'not headers["x-identity-audience"].startswith(self.audience)',
    ),
    (
        VERIFIER,
        'headers["x-identity-audience"] != self.audience',
        'headers["x-identity-audience"].lower() != self.audience',
    ),
    (VERIFIER, 'if "upgrade" in headers and head.method != "GET":', "if False:"),
    # Bodies.
    (VERIFIER, 'headers["content-digest"] != rfc9421.content_digest(body)', "False"),
    (
        VERIFIER,
        'headers["content-digest"] != rfc9421.content_digest(body)',
        'headers["content-digest"][:30] != rfc9421.content_digest(body)[:30]',
    ),
    (
        VERIFIER,
        'headers["content-digest"] != rfc9421.content_digest(body)',
        'headers["content-digest"].lower() != rfc9421.content_digest(body).lower()',
    ),
    (VERIFIER, '"identity").lower() != "identity"', '"identity").lower().startswith("gzip")'),
    (VERIFIER, '"identity").lower() != "identity"', '"identity") != "identity"'),
    (VERIFIER, 'if has_body and headers.get("content-encoding"', 'if headers.get("content-encoding"'),
    (VERIFIER, "elif not head.stream and (has_body or", "elif (has_body or"),
    (VERIFIER, "elif not head.stream and (has_body or", "elif not head.stream and (False or"),
    (VERIFIER, 'head.method not in READ', 'head.method not in ("DELETE",) + READ'),
    (VERIFIER, 'head.method not in READ_METHODS', 'head.method not in ("GET",)'),
    (VERIFIER, "        if body:\n            check_cover", "        if False:\n            check_cover"),
    (VERIFIER, '"transfer-encoding" in headers or', "False or"),
    (VERIFIER, 'headers.get("content-length", "0") != "0"', 'int(headers.get("content-length", "0")) != 0'),
    # Replay.
    (VERIFIER, CLAIM, CLAIM.replace("given.nonce,", "given.nonce + given.keyid,")),
    (VERIFIER, CLAIM, CLAIM.replace("given.nonce,", "given.nonce.lower(),")),
    (VERIFIER, CLAIM, CLAIM.replace("given.nonce,", "given.nonce[:16],")),
    (VERIFIER, CLAIM, CLAIM.replace("given.nonce,", 'given.nonce + headers["x-request-id"],')),
    (VERIFIER, CLAIM, CLAIM.replace("given.nonce,", "given.nonce + head.target,")),
    (REPLAY, "if key in self._live:", "if False:"),
    (REPLAY, "if claim.created < self.starts_at:", "if False:"),
    (REPLAY, "if claim.created < self.starts_at:", "if claim.created <= self.starts_at:"),
    # Targets, and paths that need no identity.
    (RFC9421, r"(?!/)[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]*", r"[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]*"),
    (RFC9421, r"[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]*", r"[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%|-]*"),
    (RFC9421, r"[A-Za-z0-9._~!$&()*+,;=:@/?\[\]%-]*", r"[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]%-]*"),
    (RFC9421, r"[A-Z]{1,20}(?:-[A-Z]{1,20})?", r"[A-Za-z]{1,20}(?:-[A-Z]{1,20})?"),
    (RFC9421, " or _DOT_SEGMENT.search(path)", ""),
    (RFC9421, r"\A/(?:;|%3[bB])|", ""),
    (RFC9421, r"(?:\.|%2[eE]){1,2}(?:/|;|%3[bB]|\Z)", r"(?:\.|%2[eE]){1,2}(?:/|\Z)"),
    (RFC9421, r"(?:\.|%2[eE]){1,2}(?:/|;|%3[bB]|\Z)", r"(?:\.){1,2}(?:/|;|%3[bB]|\Z)"),
    (RFC9421, r"(?:\.|%2[eE]){1,2}(?:/|;|%3[bB]|\Z)", r"(?:\.|%2e){1,2}(?:/|;|%3[bB]|\Z)"),
    (RFC9421, "_MAX_TARGET = 16_384", "_MAX_TARGET = 16_385"),
    (RFC9421, "_MAX_TARGET = 16_384", "_MAX_TARGET = 16_383"),
    (HEADERS, 'method in ("GET", "HEAD") and', 'method.upper() in ("GET", "HEAD") and'),
    (HEADERS, 'method in ("GET", "HEAD") and', ""),
    (HEADERS, "(?:healthz|readyz|metrics)|", "(?:healthz|readyz|metrics|livez)|"),
    (HEADERS, "(?:healthz|readyz|metrics)|", "(?:healthz|readyz|metrics)/?|"),
    (HEADERS, r"/\.well-known(?:", "/.well-known(?:"),
    (HEADERS, r"[A-Za-z0-9_-][A-Za-z0-9._-]*", r"[A-Za-z0-9._-]+"),
    (HEADERS, r"(?=.{1,256}\Z)", ""),
    (HEADERS, "_EXEMPT.fullmatch(target.partition", "_EXEMPT.match(target.partition"),
    # Header lines.
    (HEADERS, "_MAX_LINES = 256", "_MAX_LINES = 257"),
    (HEADERS, "_MAX_LINES = 256", "_MAX_LINES = 255"),
    (HEADERS, "elif tracked in found:", "elif False:"),
    (HEADERS, 'value.strip(" \\t")', "value.strip()"),
    (HEADERS, 'value.strip(" \\t")', "value"),
    (HEADERS, 'name.encode("latin-1").lower().decode("latin-1")', "name.strip().lower()"),
    (HEADERS, 'name.encode("latin-1").lower().decode("latin-1")', "name"),
    (HEADERS, "lower[:64])", "lower[:32])"),
    (HEADERS, "or folded.startswith(_PREFIXES)", ""),
    (HEADERS, "folded in _CONTRACT or", ""),
    (HEADERS, '"x-tenant", "x-service")', '"x-tenant", "x-service", "x-client")'),
    (HEADERS, '"header_alias" if is_alias else "coverage_insufficient"', '"header_alias"'),
    (HEADERS, '("transfer-encoding" in found or', "(False or"),
    (HEADERS, "_DIGITS.fullmatch(length) is None", "False"),
    (HEADERS, "_DIGITS.fullmatch(length)", "_DIGITS.match(length)"),
    # The table.
    (HEADERS, "len(value) <= 2048", "len(value) <= 2049"),
    (
        HEADERS,
        'is_id = re.compile(r"[A-Za-z0-9._~:@|-]{1,128}").fullmatch',
        'is_id = re.compile(r"[A-Za-z0-9._~:@|-]{1,128}").match',
    ),
    (HEADERS, "[A-Za-z0-9._~:@|-]{1,128}", "[A-Za-z0-9._~:@|+-]{1,128}"),
    (HEADERS, "[a-z0-9_-]{1,64}", "[A-Za-z0-9_-]{1,64}"),
    (HEADERS, "-7[0-9a-f]{3}-[89ab]", "-[47][0-9a-f]{3}-[89ab]"),
    (HEADERS, r"{1,4096}\Z", r"{1,4097}\Z"),
    (HEADERS, r"{1,1024}\Z", r"{1,1025}\Z"),
    (HEADERS, "{42}[AEIMQUYcgkosw048]=", "{43}="),
    (HEADERS, "if is_required is None:", "if False:"),
    (HEADERS, "            if is_required:\n", "            if False:\n"),
    (HEADERS, '_USER = {"x-user-id": True, "x-user-role": True', '_USER = {"x-user-id": True, "x-user-role": False'),
    (HEADERS, '_CLIENT = {"x-client-id": True', '_CLIENT = {"x-user-id": False, "x-client-id": True'),
    (HEADERS, '_SERVICE = {"x-service-id": True', '_SERVICE = {"x-service-id": False'),
    (HEADERS, '"anonymous": _EVERY,', '"anonymous": _EVERY | {"txn-token": False},'),
    (
        HEADERS,
        '"service for a user": _EVERY | _SERVICE | _USER,',
        '"service for a user": _EVERY | _SERVICE | _USER | _CLIENT,',
    ),
    (HEADERS, ' or "x-user-role" in headers', ""),
    (HEADERS, 'if name == "content-type" and "content-digest" not in headers:', "if False:"),
    (HEADERS, 'if name == "sec-websocket-key" and "upgrade" in headers:', "if False:"),
    # The context.
    (CONTEXT, '"_")) in members', '"_")) is None'),
    (CONTEXT, "if match is None or value is None or", "if match is None or"),
    (CONTEXT, "differ = not must_differ or", "differ = True or"),
    (CONTEXT, "len(texts) <= most", "len(texts) <= most + 1"),
    (CONTEXT, "[1-9][0-9]{{0,9}}", "[1-9][0-9]{{0,10}}"),
    (CONTEXT, "|0|[1-9]", "|0[0-9]*|[1-9]"),
    (CONTEXT, "not in value and bool", "not in value[:0] and bool"),
    (CONTEXT, "and _is_issuer(texts[1])", ""),
    (CONTEXT, "_is_subject(texts[0]) and", ""),
    (CONTEXT, "(?:;iss={_QUOTED})?", "(?: *;iss={_QUOTED})?"),
    (CONTEXT, r"[!#-\[\]-~]{1,512}", r"[!#-\[\]-~]{1,513}"),
    (CONTEXT, r"[!#-\[\]-~]{1,255}", r"[!#-\[\]-~]{0,255}"),
    (CONTEXT, "(?: +{_QUOTED})*", "(?: *{_QUOTED})*"),
    (CONTEXT, 'rf" *([a-z-]+)=', 'rf"[ \\t]*([a-z-]+)='),
    # Key sets.
    (JWKS, "_PRIVATE & jwk.keys()", "any(jwk.get(name) for name in _PRIVATE)"),
    (JWKS, 'jwk.get("use", "sig") == "sig"', '(jwk.get("use") or "sig") == "sig"'),
    (JWKS, 'jwk.get("alg", "EdDSA") in', '(jwk.get("alg") or "EdDSA") in'),
    (JWKS, '("EdDSA", "Ed25519")', '("EdDSA", "Ed25519", "ed25519")'),
    (JWKS, 'and "verify" in operations', ""),
    (JWKS, '_has(jwk, kty="OKP", crv="Ed25519")', '_has(jwk, crv="Ed25519")'),
    (JWKS, "y >= _PRIME or", ""),
    (JWKS, "y in _SMALL_ORDER", "False"),
    (JWKS, "len(entries) > 100", "len(entries) > 101"),
    (JWKS, "len(entries) > 100", "len(entries) > 99"),
    (JWKS, 'kids.count(jwk["kid"]) == 1', "True"),
    (JWKS, "u < _PRIME and", ""),
    (JWKS, "u not in _LOW_ORDER and", ""),
    (JWKS, ' and jwk.get("kid") == thumbprint(str(jwk["x"]))', ""),
    (RFC9421, 'return raw if base64url(raw) == text else b""', "return raw"),
    (KEYS, "return None if parsed is None or keyid in parsed.kids else", "return"),
    (
        AGREEMENT,
        "gateway.public_bytes_raw() + service.public_bytes_raw()",
        "service.public_bytes_raw() + gateway.public_bytes_raw()",
    ),
    (AGREEMENT, ' + audience.encode("ascii")', ""),
]


class _Changed(SourceFileLoader):
    changes: dict[str, tuple[str, str]] = {}

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        text = Path(path).read_text()
        name = str(Path(path).relative_to(SOURCE))
        if name in self.changes:
            before, after = self.changes[name]
            if before not in text:
                raise AssertionError(f"{name} has no {before!r}")
            text = text.replace(before, after)
        return compile(text, path, "exec")


class _Finder:
    def find_spec(self, name: str, _path: Any, _target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] != "countersign_identity":
            return None
        place = SOURCE.joinpath(*name.split(".")[1:])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        return importlib.util.spec_from_file_location(name, file, loader=_Changed(name, str(file)))


@contextmanager
def weakened(weakening: Weakening) -> Iterator[Any]:
    """Import the package once more with this change, and the module that decides the vectors with it."""
    name, before, after = weakening
    mine = ("countersign_identity", "vectors")
    saved = {key: sys.modules.pop(key) for key in list(sys.modules) if key.partition(".")[0] in mine}
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    _Changed.changes = {name: (before, after)}
    try:
        import vectors

        yield vectors
    finally:
        sys.meta_path.remove(finder)
        for key in [key for key in sys.modules if key.partition(".")[0] in mine]:
            del sys.modules[key]
        sys.modules.update(saved)


def survivors() -> list[Weakening]:
    found: list[Weakening] = []
    recent: list[str] = []  # Names of vectors that found something, the latest first: neighbours find each other.
    for weakening in WEAKENINGS:
        with weakened(weakening) as vectors:
            name = next(vectors.first_difference(recent), None)
        if name is None:
            found.append(weakening)
        else:
            recent = [name, *(other for other in recent if other != name)]
    return found


if __name__ == "__main__":
    missed = survivors()
    for file, before, after in missed:
        print(f"{file}: {before!r} => {after!r}")
    print(f"{len(WEAKENINGS) - len(missed)} of {len(WEAKENINGS)} weakenings are found")
    sys.exit(1 if missed else 0)
