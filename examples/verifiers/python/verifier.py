"""Verifies that a request came through a Countersign gateway: docs/identity-contract.md, rule by rule.

Needs Python 3.10 and `cryptography`. It keeps nonces in memory, so it is only for services with one instance.
"""

import base64
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import agreement
from context import ID, ROLE, full, parse_context

UUID_V7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
SIGNATURE = re.compile(r"countersign=:([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==):")
SIGNATURE_INPUT = re.compile(
    r'countersign=(?P<raw>(?P<list>\((?:"[a-z0-9@-]{1,64}"(?: "[a-z0-9@-]{1,64}")*)?\))'
    r";created=(?P<created>0|[1-9][0-9]{0,11});expires=(?P<expires>0|[1-9][0-9]{0,11})"
    r';nonce="(?P<nonce>[A-Za-z0-9_-]{16,64})";keyid="(?P<keyid>[A-Za-z0-9._~:@|-]{1,128})"'
    r';alg="(?P<alg>[a-z0-9-]{1,32})";tag="(?P<tag>[a-z0-9-]{1,64})")'
)
METHOD = re.compile(r"[A-Z]{1,20}(?:-[A-Z]{1,20})?")
PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]*")
QUERY = re.compile(r"(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?\[\]%-]*)?")
DOT_SEGMENT = re.compile(r"^/(?:;|%3[bB])|/(?:\.|%2[eE]){1,2}(?:/|;|%3[bB]|$)")
EXEMPT = re.compile(r"/\.well-known(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
PREFIXES = ("x-identity", "x-user", "x-tenant", "x-service")
KINDS = ("user", "client", "anonymous", "service", "gateway")
# Section 3: members of private keys, and public keys for which anyone can sign.
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
SMALL_ORDER = {
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
    "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
    "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o",
    "7P_______________________________________38", "7P________________________________________8",
    "7f_______________________________________38", "7f________________________________________8",
    "7v_______________________________________38", "7v________________________________________8",
}

# Section 3: public keys, keyids of secrets and kids that are publicly known. `allow_published` is only for tests with
# the vectors.
PUBLISHED = {
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
    "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs", "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
    "U9bVwaoNbrLMB2bPbpf6JVom4BMWhOBFYPyEUEHNKRI", "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08",
    "xE4XCiQL0mEBg93-U9M0c9DxpZunBQtdwZMBkIO3B1s", "-Rb4tPQ9C4JnWDHqY-yZg9vIKLdeEzNpKkSmaYJxGy4",
    "gTxSeAERRhcJhyVUsIwkMPR6Fp0vQseLBM7sgeETPSw", "gApfGpn1ROtQ5gov1mSutM", "_m6PbcqDvc2TLRHfP_UnuT",
    "lA0knehIId096pQAspBmpX", "u8eLw9SOHenbE9hjq4FTBY", "3PPNkOWE4K6DRrrWwZkMsI", "ddZH86t36liT6mwRuiFs2m", "ed-1",
    "ed-twice", "only-required-members", "alg-of-rfc-9864", "key-ops-verify", "key-ops-sign-and-verify",
    "other-members", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|-", "vectors-complaint-1",
    "vectors-users-1", "test-key-rsa", "test-key-rsa-pss", "test-key-ecc-p256", "test-key-ed25519",
    "test-shared-secret",
    "k" * 128,
}


def is_digest(value):
    match = DIGEST.fullmatch(value)
    return match is not None and canonical(match[1]) is not None


def canonical(text):
    """The bytes of base64 text, or None if its unused bits are not zero."""
    raw = base64.b64decode(text)
    return raw if base64.b64encode(raw).decode() == text else None


# Sections 2 and 3: the headers that a signature covers, in order, the kinds of identity that have them, and their
# grammar.
EVERY = dict.fromkeys(KINDS, "required")
OF_USER = {"user": "required", "service": "all-or-none"}
OF_USER_OR_CLIENT = OF_USER | {"client": "optional"}
OPTIONAL = dict.fromkeys(KINDS, "optional")
COVERED = [
    ("x-request-id", EVERY, full(UUID_V7)),
    ("x-identity", EVERY, full(ID)),
    ("x-identity-audience", EVERY, full(ID)),
    ("x-identity-context", EVERY, lambda value: len(value) <= 2048),
    ("x-service-id", {"service": "required"}, full(ID)),
    ("x-client-id", {"client": "required", "service": "optional"}, full(ID)),
    ("x-user-id", OF_USER, full(ID)),
    ("x-user-role", OF_USER_OR_CLIENT, full(ROLE)),
    ("x-tenant-id", OF_USER_OR_CLIENT, full(ID)),
    ("txn-token", dict.fromkeys(("user", "client", "service"), "optional"),
     lambda value: len(value) <= 4096 and re.fullmatch(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}", value) is not None),
    ("content-type", OPTIONAL, lambda value: len(value) <= 1024 and re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value) is not None),
    ("content-digest", OPTIONAL, is_digest),
    ("upgrade", OPTIONAL, full(re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}"))),
    ("sec-websocket-key", OPTIONAL, full(re.compile(r"[A-Za-z0-9+/]{22}=="))),
]
MESSAGE = {"content-type", "upgrade", "sec-websocket-key"}
OF_USER_HEADERS = ("x-user-id", "x-user-role", "x-tenant-id")
CONTRACT = {name for name, _, _ in COVERED if name not in MESSAGE} | {"signature-input", "signature"}
TRACKED = CONTRACT | MESSAGE | {"content-encoding", "content-length", "transfer-encoding"}


class Refused(Exception):
    """The request is refused; `args[0]` is the reason, for `x-identity-refused`."""


def is_identity_header(name):
    head = name.lower()[:64]
    folded = re.sub(r"[^a-z0-9]", "-", head)
    return (folded in CONTRACT or folded.startswith(PREFIXES)), head == folded


def is_exempt(method, target):
    path = target.split("?", 1)[0]
    well_known = len(path) <= 256 and EXEMPT.fullmatch(path) is not None
    return method in ("GET", "HEAD") and (path in ("/healthz", "/readyz", "/metrics") or well_known)


def without_identity(headers):
    return [(name, value) for name, value in headers if not is_identity_header(name)[0]]


def is_signing_key(key, allow_published=False):
    """Whether an entry of the key set is a usable public ed25519 key (section 3)."""
    if not isinstance(key, dict) or not allow_published and is_published(key):
        return False
    good = key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and isinstance(key.get("kid"), str)
    named = key.get("alg", "EdDSA") in ("EdDSA", "Ed25519") and key.get("use", "sig") == "sig"
    operations = key.get("key_ops", ["verify"])
    signs = named and isinstance(operations, list) and "verify" in operations
    raw = agreement.decode(key.get("x"))
    strong = raw is not None and len(raw) == 32 and key["x"] not in SMALL_ORDER
    in_field = strong and int.from_bytes(raw, "little") % 2**255 < 2**255 - 19
    return good and signs and in_field and not PRIVATE.intersection(key)


def signing_keys(jwks, allow_published=False):
    """The usable public keys of a key set by kid, or None if the set is refused as a whole."""
    entries = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(entries, list) or len(entries) > 100:
        return {}
    kids = [key.get("kid") for key in entries if isinstance(key, dict)]
    usable = [key for key in entries if is_signing_key(key, allow_published)]
    return {key["kid"]: agreement.decode(key["x"]) for key in usable if kids.count(key["kid"]) == 1}


def secret_keyid(secret):
    return base64.urlsafe_b64encode(hashlib.sha256(b"countersign hmac keyid\0" + secret).digest()).decode()[:22]


def is_published(key):
    return any(isinstance(key.get(name), str) and key[name] in PUBLISHED for name in ("x", "kid"))


class Verifier:
    """`jwks` is the gateway's key set, `secrets` maps keyids to HMAC secrets, `began` is when the nonce memory began.

    `agreement_jwks` are the service's private keys for agreement, if it has any.
    """

    def __init__(self, audience, jwks, secrets, began, tolerance=5, max_lifetime=60, agreement_jwks=(), allow_published=False):
        self.audience, self.began, self.tolerance, self.max_lifetime = audience, began, tolerance, max_lifetime
        if any(len(secret) < 32 for secret in secrets.values()):
            raise ValueError("a secret needs 32 bytes or more")
        if not allow_published and any(secret_keyid(secret) in PUBLISHED for secret in secrets.values()):
            raise ValueError("a secret is published")
        public = signing_keys(jwks, allow_published)
        kids = [key.get("kid") for key in jwks["keys"] if isinstance(key, dict)]
        self.public = {kid: Ed25519PublicKey.from_public_bytes(x) for kid, x in public.items() if kid not in secrets}
        self.secrets = {keyid: secret for keyid, secret in secrets.items() if keyid not in kids}
        # A keyid of the reserved form must be an agreed key.
        for keys in (self.public, self.secrets):
            for keyid in [keyid for keyid in keys if agreement.KEYID.fullmatch(keyid)]:
                del keys[keyid]
        for kid, gateway in agreement.usable_keys(jwks).items():
            for own in agreement_jwks:
                if not allow_published and (is_published(own) or base64url(gateway) in PUBLISHED):
                    continue
                secret = agreement.agree(agreement.decode(own["d"]), gateway, audience)
                self.secrets[f"{kid}.{own['kid']}"] = secret
        self.nonces = {}

    def verify(self, method, target, headers, body, now, stream=False):
        """Returns the identity. `headers` are the pairs as they came off the wire, `now` is in Unix seconds."""
        path, query = split_target(method, target)
        found = read_headers(headers)
        signature, given = read_signature(found)
        identity, names = read_identity(found)
        if "upgrade" in found and method != "GET":
            raise Refused("header_malformed")
        components = ["@method", "@path", "@query", *names]
        if given["list"] != "(" + " ".join(f'"{name}"' for name in components) + ")":
            raise Refused("coverage_insufficient")
        if found["x-identity-audience"] != self.audience:
            raise Refused("audience_mismatch")
        created, expires = self.check_times(given, now)
        announced = "transfer-encoding" in found or found.get("content-length", "0") != "0"
        check_body(method, found, announced, stream)
        self.check_signature(given, signature_base(components, method, path, query, found, given["raw"]), signature)
        if body:
            check_body(method, found, True, stream)
        if found.get("content-digest", digest_of(body)) != digest_of(body):
            raise Refused("content_digest_mismatch")
        self.claim(given["nonce"], created, expires, now)
        return identity

    def check_times(self, given, now):
        created, expires = int(given["created"]), int(given["expires"])
        if not 0 < expires - created <= self.max_lifetime:
            raise Refused("lifetime_invalid")
        if created > now + self.tolerance:
            raise Refused("created_in_future")
        if now > expires + self.tolerance:
            raise Refused("expired")
        return created, expires

    def check_signature(self, given, base, signature):
        public, secret = self.public.get(given["keyid"]), self.secrets.get(given["keyid"])
        if public is None and secret is None:
            raise Refused("key_unknown")
        if given["alg"] != ("hmac-sha256" if public is None else "ed25519"):
            raise Refused("algorithm_mismatch")
        if public is None:
            if not hmac.compare_digest(hmac.digest(secret, base, "sha256"), signature):
                raise Refused("signature_invalid")
            return
        try:
            public.verify(signature, base)
        except InvalidSignature:
            raise Refused("signature_invalid") from None

    def claim(self, nonce, created, expires, now):
        if created < self.began:
            raise Refused("created_before_start")
        self.nonces = {known: until for known, until in self.nonces.items() if until >= now}
        if nonce in self.nonces:
            raise Refused("replayed")
        self.nonces[nonce] = expires + 3 * self.tolerance


def base64url(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def digest_of(body):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


def signature_base(components, method, path, query, found, raw):
    values = {"@method": method, "@path": path, "@query": query or "?", **found}
    lines = "".join(f'"{name}": {values[name]}\n' for name in components)
    return f'{lines}"@signature-params": {raw}'.encode("latin-1")


def split_target(method, target):
    path, mark, rest = target.partition("?")
    query = mark + rest
    good = METHOD.fullmatch(method) and PATH.fullmatch(path) and QUERY.fullmatch(query)
    if not good or DOT_SEGMENT.search(path) or max(len(path), len(query)) > 16384:
        raise Refused("target_malformed")
    return path, query


def read_headers(headers):
    if len(headers) > 256:
        raise Refused("header_malformed")
    found = {}
    for name, value in headers:
        lower = name.lower()
        if lower in TRACKED:
            if lower in found:
                raise Refused("header_duplicated")
            found[lower] = value.strip(" \t")
        else:
            identity, plain = is_identity_header(name)
            if identity:
                raise Refused("coverage_insufficient" if plain else "header_alias")
    if "content-length" in found and "transfer-encoding" in found:
        raise Refused("header_malformed")
    return found


def read_signature(found, tag="countersign-v1"):
    if "signature-input" not in found or "signature" not in found:
        raise Refused("signature_missing")
    given, encoded = SIGNATURE_INPUT.fullmatch(found["signature-input"]), SIGNATURE.fullmatch(found["signature"])
    signature = encoded and canonical(encoded[1])
    if given is None or signature is None or len(found["signature-input"]) > 1024:
        raise Refused("signature_malformed")
    if given["tag"] != tag:
        raise Refused("tag_mismatch")
    return signature, given


def read_identity(found):
    """The identity that the headers claim, and the names of the headers that a signature over it covers."""
    if "x-identity" not in found:
        raise Refused("header_missing")
    kind = found["x-identity"]
    if kind not in KINDS:
        raise Refused("header_malformed")
    has_client = "x-client-id" in found
    acts_for_user = not has_client and any(name in found for name in OF_USER_HEADERS)
    names = []
    for name, kinds, matches in COVERED:
        presence = kinds.get(kind, "forbidden")
        if presence == "all-or-none" and has_client:
            presence = kinds.get("client", "forbidden")
        elif presence == "all-or-none":
            presence = "required" if acts_for_user else "optional"
        if name == "sec-websocket-key":
            presence = "required" if "upgrade" in found else "forbidden"
        if name == "content-type" and "content-digest" not in found:
            continue
        if name not in found:
            if presence == "required":
                raise Refused("header_missing")
            continue
        if presence == "forbidden":
            raise Refused("coverage_insufficient")
        if not matches(found[name]):
            raise Refused("header_malformed")
        names.append(name)
    identity = {"kind": kind, "request_id": found["x-request-id"], "context": read_context(found["x-identity-context"])}
    if kind == "user":
        identity |= read_members(found, USER_MEMBERS)
    if kind == "client":
        identity |= read_members(found, CLIENT_MEMBERS)
    if kind == "service":
        identity["service_id"] = found["x-service-id"]
        if has_client:
            identity["client"] = read_members(found, CLIENT_MEMBERS)
        if acts_for_user:
            identity["user"] = read_members(found, USER_MEMBERS)
    if "txn-token" in found:
        identity["txn_token"] = found["txn-token"]
    return identity, names


def read_context(text):
    context = parse_context(text)
    if context is None:
        raise Refused("header_malformed")
    return context


USER_MEMBERS = {"user_id": "x-user-id", "role": "x-user-role", "tenant_id": "x-tenant-id"}
CLIENT_MEMBERS = {"client_id": "x-client-id", "role": "x-user-role", "tenant_id": "x-tenant-id"}


def read_members(found, members):
    return {member: found[name] for member, name in members.items() if name in found}


def check_body(method, found, has_body, stream):
    if "content-digest" in found:
        if has_body and found.get("content-encoding", "identity").lower() != "identity":
            raise Refused("header_malformed")
    elif not stream and (has_body or method not in ("GET", "HEAD")):
        raise Refused("content_digest_missing")
