/** A verifier that someone could write by mistake: replacements in one file of packages/verifiers/go. */
export type GoWeakening = readonly [name: string, file: string, from: string, to: string];

const grammar = 'internal/wire/grammar.go';
const headers = 'internal/wire/headers.go';
const signature = 'internal/wire/signature.go';
const verifier = 'identity/verifier.go';
const identity = 'identity/identity.go';
const keyset = 'identity/keyset.go';
const replay = 'identity/replay.go';
const handler = 'identity/handler.go';
const remote = 'identity/remote.go';
const guard = 'identity/guard.go';
const transport = 'identity/transport.go';
const calls = 'identity/identitytest/calls.go';

/** Each decides some request differently, and no run of the module's tests may pass with it. */
export const goWeakenings: readonly GoWeakening[] = [
  ['a pattern that fits a part of a value', grammar, '`^(?:` + pattern + `)$`', '`^(?:` + pattern + `)`'],
  ['base64 with unused bits', grammar, 'encoding.Strict().DecodeString', 'encoding.DecodeString'],
  ['base64 with line ends', grammar, '|| len(s) != encoding.EncodedLen(len(raw))', ''],
  ['dot segments', grammar, ' || dotSegment.MatchString(path)', ''],
  ['dot segments in one case', grammar, '(?i)^/(?:;', '^/(?:;'],
  ['a target of any length', grammar, 'max(len(path), len(query)) > 16384 || ', ''],
  ['any method on an exempt path', grammar, 'isOpen && (method == "GET" || method == "HEAD")', 'isOpen'],
  ['an exempt path in front', grammar, 'path == "/healthz"', 'strings.HasPrefix(path, "/healthz")'],
  ['a zone of an address', grammar, 'err == nil && address.Zone() == ""', 'err == nil'],
  ['duplicates', headers, 'case found != nil && h.Has(found.name):', 'case false:'],
  ['aliases', headers, 'return nil, isIdentity, isAlias\n', 'return nil, isIdentity && !isAlias, isAlias\n'],
  ['unknown identity headers', headers, 'case isIdentity:\n', 'case false:\n'],
  ['any number of lines', headers, 'len(lines) > 256', 'false'],
  ['two lengths', headers, 'if h.Has("content-length") && h.Has("transfer-encoding")', 'if false'],
  ['a length of zeros', headers, 'h["content-length"] != "0"', 'strings.Trim(h["content-length"], "0") != ""'],
  ['a header that this kind never has', headers, "case has && present == '-':", 'case false:'],
  ['a required header', headers, "case !has && present == 'r':", 'case false:'],
  [
    'a service of half a user',
    headers,
    `case present == 'u' && (h.Has("x-user-id")`,
    `case false && (h.Has("x-user-id")`,
  ],
  ['a user for a client', headers, '{"x-user-id", true, "r--u-"', '{"x-user-id", true, "ro-u-"'],
  [
    'values',
    headers,
    'case has && !rule.fits(h[rule.name]):\n\t\t\treturn nil, Refused("header_malformed")\n\t\tcase has:\n\t\t\tcovered',
    'case has:\n\t\t\tcovered',
  ],
  ['another tag', signature, 'match[8] != tag', 'false'],
  ['a long signature-input', signature, '|| len(input) > 1024', ''],
  ['any lifetime', signature, 'lifetime <= 0 || lifetime > maxLifetime', 'false'],
  ['the future', signature, 'p.Created > now+tolerance', 'false'],
  ['the past', signature, 'now > p.Expires+tolerance', 'false'],
  ['a keyid of another form', signature, 'ok && IsThumbprint(gateway) && IsThumbprint(service)', 'ok'],
  ['the salt of HKDF', signature, 'shared, nil, info', 'shared, []byte("salt"), info'],
  ['the audience in a derivation', signature, ' + audience\n', '\n'],
  ['the received list', verifier, 'wire.List(covered) != m.params.List', 'false'],
  ['the audience', verifier, 'h["x-identity-audience"] != v.config.Audience', 'false'],
  ['an upgrade with POST', verifier, ' || h.Has("upgrade") && m.method != http.MethodGet', ''],
  ['the signature', verifier, '!ed25519.Verify(public, base, p.Signature)', 'false'],
  ['the MAC', verifier, '!hmac.Equal(wire.MAC(secret, base), p.Signature)', 'false'],
  [
    'a part of the MAC',
    verifier,
    'hmac.Equal(wire.MAC(secret, base), p.Signature)',
    'hmac.Equal(wire.MAC(secret, base)[:16], p.Signature[:16])',
  ],
  [
    'the algorithm',
    verifier,
    'public != nil && p.Algorithm != "ed25519" || secret != nil && p.Algorithm != "hmac-sha256"',
    'false',
  ],
  ['a secret and a key of one keyid', verifier, 'secret != nil && set.kids[keyid] > 0', 'false'],
  ['the digest', verifier, 'm.headers["content-digest"] != wire.Digest(body)', 'false'],
  ['a body without a digest', verifier, 'if len(body) > 0 {', 'if false {'],
  ['codings', verifier, '!strings.EqualFold(m.headers["content-encoding"], "identity")', 'strings.EqualFold("a", "b")'],
  [
    'the time after a slow body',
    verifier,
    'now := v.config.Now().Unix() // The body may have taken long.\n\tif err := m.params.CheckTimes(now, v.tolerance, v.maxLifetime); err != nil {\n\t\treturn err\n\t}',
    'now := v.config.Now().Unix()',
  ],
  ['nonces of another audience', verifier, 'Audience: v.config.Audience, Nonce:', 'Audience: m.params.KeyID, Nonce:'],
  ['nonces that are forgotten early', verifier, 'm.params.Expires + 3*v.tolerance', 'm.params.Expires - 3*v.tolerance'],
  ['a short secret', verifier, 'len(secret) < 32 || ', ''],
  ['a published secret', verifier, ' || isPublished(keyid)', ''],
  ['a member twice', identity, 's.rest, s.isFailed = rest, slices.Contains(seen, name)', 's.rest = rest'],
  ['an unknown member', identity, '\tdefault:\n\t\ts.isFailed = true\n', ''],
  ['a list with one item twice', identity, 's.isFailed = s.isFailed || !areDistinct(c.Scopes)', ''],
  ['an unguarded identity', identity, 'ctx.Value(allowedKey{})', 'ctx.Value(verifiedKey{})'],
  ['a private key in a key set', keyset, 'ok && !isPrivate &&', 'ok && (ok || isPrivate) &&'],
  ['a key of small order', keyset, '!slices.Contains(smallOrder, encode(y))', 'true'],
  ['a key beyond the field', keyset, 'isInField(y) &&', ''],
  ['a kid twice', keyset, 's.kids[kid] != 1 || ', ''],
  ['a published key', keyset, ' || isPublished(kid) {', ' {'],
  ['a kid that is no thumbprint', keyset, ' ||\n\t\tk["kid"] != wire.Thumbprint(x)', ''],
  ['a point of low order', keyset, 'slices.Contains(lowOrder, x) || ', ''],
  ['too many keys', keyset, '!ok || len(entries) > 100', '!ok'],
  ['replays', replay, 'if _, isUsed := m.live[key]; isUsed {', 'if false {'],
  ['replays after a restart', replay, 'c.Created < m.Began().Unix() || ', ''],
  ['replays after the clock was set back', replay, ' || c.KeepUntil < m.swept', ''],
  ['a full memory', replay, 'len(m.live) >= m.MaxNonces', 'false'],
  ['identity headers on an exempt path', handler, '!wire.IsIdentityHeader(name)', 'true'],
  ['the size of a body', handler, 'http.MaxBytesReader(w, r.Body, most)', 'r.Body'],
  [
    'the body after its digest',
    handler,
    'verified.Body = io.NopCloser(bytes.NewReader(body))',
    '_ = bytes.NewReader(body)',
  ],
  ['repeated header lines', handler, 'for _, value := range values {', 'for _, value := range values[:1] {'],
  ['a redirect of the key set', remote, 'CheckRedirect: refuseRedirect}', 'CheckRedirect: nil}\n\t_ = refuseRedirect'],
  ['a large key set', remote, 'len(document) > maxDocument', 'false'],
  ['old keys', remote, '&& k.now().Sub(k.heldAt) <= k.config.MaxStale', ''],
  ['one fetch for each unknown kid', remote, 'if now.Sub(k.cooledFrom) < cooldown {', 'if false {'],
  ['one fetch for each lookup', remote, 'if k.pending == nil {', 'if true {'],
  ['a kind that is not accepted', guard, '!slices.Contains(kinds, id.Kind) || ', ''],
  [
    'a service for a client',
    guard,
    ' || isForClient && !slices.Contains(kinds, KindClient)',
    ' || isForClient && false',
  ],
  ['the role of a client', guard, 'id.Client != nil && isAccepted &&', 'id.Client != nil &&'],
  [
    'a part of the scopes',
    guard,
    '!slices.ContainsFunc(scopes, func(scope string) bool { return !slices',
    'slices.ContainsFunc(scopes, func(scope string) bool { return slices',
  ],
  ['a guard without a verifier', guard, 'if !ok {', 'if !ok && ok {'],
  [
    'a call to another host',
    transport,
    'r.URL.Scheme != t.GatewayURL.Scheme || r.URL.Host != t.GatewayURL.Host',
    'false',
  ],
  ['a redirected call', transport, 'r.Response != nil', 'false'],
  ['the txn-token', transport, '; ok && id.TxnToken != "" {', '; ok && false {'],
  ['the digest of a call', calls, 'h["content-digest"] != wire.Digest(body)', 'false'],
];
