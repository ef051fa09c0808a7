import { audience, forged, genuine, hmacKey, nowSec, plus, standardParams, user } from './forge.ts';
import {
  anonymous,
  changed,
  get,
  params,
  post,
  type Refused,
  signedWith,
  txn,
  upgrading,
  type VectorCase,
  withContext,
  withTarget,
} from './vector-parts.ts';

const cases = <T>(names: readonly string[], make: (name: string) => T) =>
  Object.fromEntries(names.map((name): [string, T] => [name, make(name)]));

/** Values with the maximum length, and allowed forms that the gateway itself never sends. */
export const grammarAccepted: VectorCase[] = [
  {
    name: 'every value at its maximum length',
    message: genuine({
      as: {
        kind: 'user',
        userId: 'u'.repeat(128),
        role: 'r'.repeat(64),
        tenantId: 't'.repeat(128),
        context: {
          iss: 'i'.repeat(512),
          sid: 's'.repeat(128),
          authTime: 9_999_999_999,
          amr: Array.from({ length: 16 }, () => 'a'.repeat(64)),
          jkt: 'j'.repeat(43),
        },
      },
      method: 'POST',
      contentType: `text/${'x'.repeat(1019)}`,
      txnToken: `${'h'.repeat(2000)}.${'p'.repeat(2000)}.${'s'.repeat(94)}`,
      nonce: 'n'.repeat(64),
    }),
  },
  { name: 'a nonce of 16 characters', message: genuine({ nonce: 'n'.repeat(16) }) },
  { name: 'a lifetime of 1 s', message: params({ expires: nowSec + 1 }) },
  { name: 'a lifetime of 60 s', message: params({ expires: nowSec + 60 }) },
  { name: 'an identity header name as the value of another header', message: plus(get(), ['y-note', 'x-user-name']) },
  { name: 'created at 0', message: params({ created: 0, expires: 30 }), at: 10 },
  { name: 'an empty context', message: withContext('') },
  { name: 'context members in another order', message: withContext('amr=("pwd"), sid="s-1", ip="192.0.2.7"') },
  { name: 'context with additional spaces', message: withContext('ip="192.0.2.7",sid="s-1"  ,  amr=( "pwd"  "otp" )') },
  { name: 'context with an IPv4-mapped IPv6 address', message: withContext('ip="::ffff:192.0.2.7"') },
  { name: 'context with an IPv6 address and auth-time 0', message: withContext('ip="2001:db8::7", auth-time=0') },
  { name: 'context of 2048 characters', message: withContext(`ip="192.0.2.7",${' '.repeat(2024)}sid="s-1"`) },
  {
    name: 'header names that are not aliases',
    message: plus(post(), ['content_type', 'text/html'], ['xuser', 'root'], ['x_forwarded_for', '192.0.2.8']),
  },
];

/** Each request is signed as is, so only the grammar can refuse it. */
export const grammarRefused: Refused = {
  target_malformed: {
    'a space': withTarget('/v1/a b'),
    'a non-ASCII character': withTarget('/v1/caf\u00e9'),
    'an empty target': withTarget(''),
    ...cases(
      ['\\', '"', '<', '>', '`', '{', '}', '^', '|'].flatMap((c) => [`/v1/a${c}b`, `/v1/a?b${c}`]),
      withTarget,
    ),
    ...cases(["/v1/a?b='", '//v1/a', '/v1/../a', '/v1/./a', '/..', '/v1/a/.', '/v1/%2e%2E/a', '/.%2e/a'], withTarget),
    // Servlet containers drop path parameters before they resolve dots.
    ...cases(['/public/..;/admin/x', '/v1/..;a=b/c', '/v1/.;/a', '/v1/..;', '/..;..', '/v1/.;x./a'], withTarget),
    ...cases(['/v1/..%3b/a', '/v1/..%3B', '/v1/%2e%2E;x/a', '/v1/.%2e%3bx/a', '/v1/%2E%3B', '/a;b/..;c'], withTarget),
    'a path of 16385 characters': withTarget(`/${'a'.repeat(16_384)}`),
    'a query of 16385 characters': withTarget(`/?${'a'.repeat(16_384)}`),
    ...cases(['get', 'Get', 'M-SEARCH-X', 'GET1', 'A'.repeat(21), `A-${'B'.repeat(21)}`], (method) =>
      forged({ ...get(), method }, {}),
    ),
  },
  header_malformed: {
    'a no-break space around a value': signedWith(get(), 'x-user-id', '\u00a0u-1'),
    'a tab inside a value': signedWith(post(), 'content-type', 'text/plain;\tcharset=utf-8'),
    'an id of 129 characters': signedWith(get(), 'x-tenant-id', 't'.repeat(129)),
    'a role of 65 characters': signedWith(get(), 'x-user-role', 'r'.repeat(65)),
    'a content-type of 1025 characters': signedWith(post(), 'content-type', `text/${'x'.repeat(1020)}`),
    'a txn-token of 4097 characters': signedWith(genuine({ txnToken: txn }), 'txn-token', `${'h'.repeat(4093)}.p.s`),
    'a txn-token of two parts': signedWith(genuine({ txnToken: txn }), 'txn-token', 'aaaa.bbbb'),
    'a txn-token with an empty part': signedWith(genuine({ txnToken: txn }), 'txn-token', 'aaaa..cccc'),
    'a request id in upper case': signedWith(get(), 'x-request-id', '01A2B3C4-D5E6-7F80-9102-A3B4C5D6E7F8'),
    'two digest members': changedDigest((value) => `${value}, ${value}`),
    'a digest without its padding': changedDigest((value) => `${value.slice(0, -2)}:`),
    'SHA-256 in upper case': changedDigest((value) => value.replace('sha', 'SHA')),
    'a malformed upgrade': signedWith(upgrading(), 'upgrade', 'web socket'),
    'a malformed sec-websocket-key': signedWith(upgrading(), 'sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ'),
    ...cases(
      [
        'ip="192.0.2.256"',
        'ip="192.0.2.07"',
        'ip="fe80::1%eth0"',
        'ip=192',
        'iss=""',
        'iss="https://issuer example"',
        `iss="${'i'.repeat(513)}"`,
        'sid=""',
        'sid="s 1"',
        `sid="${'s'.repeat(129)}"`,
        'sid="s\\"1"',
        'auth-time=-0',
        'auth-time=-1',
        'auth-time=0001',
        'auth-time=1.0',
        'auth-time="1"',
        'auth-time=10000000000',
        'amr=()',
        'amr="pwd"',
        'amr=(pwd)',
        'amr=("a b")',
        `amr=(${Array.from({ length: 17 }, () => '"a"').join(' ')})`,
        `amr=("${'a'.repeat(65)}")`,
        `jkt="${'j'.repeat(42)}"`,
        `jkt="${'j'.repeat(44)}"`,
        'ip',
        'zz="192.0.2.7"',
        'zz="s-1"',
        'zz=1',
        'sid=("pwd")',
        `zz="${'j'.repeat(43)}"`,
        'ip ="192.0.2.7"',
        'ip= "192.0.2.7"',
        'amr=("pwd""otp")',
        'ip="::1::2"',
        'ip="[::1]"',
        'ip="192.0.2.7";p=1',
        'ip="192.0.2.7",',
        ',ip="192.0.2.7"',
        'ip="192.0.2.7",\tsid="s-1"',
        'ip="192.0.2.7" sid="s-1"',
        'IP="192.0.2.7"',
        `ip="192.0.2.7",${' '.repeat(2025)}sid="s-1"`,
      ],
      withContext,
    ),
  },
  signature_malformed: {
    'no space between two components': changed(get(), 'signature-input', (value) => value.replace('" "', '""')),
    'two spaces between two components': changed(get(), 'signature-input', (value) => value.replace('" "', '"  "')),
    'a signature-input of over 1024 characters': forged(get(), {
      components: Array.from({ length: 200 }, () => 'x-a'),
    }),
    'a nonce of 15 characters': params({ nonce: 'n'.repeat(15) }),
    'a nonce of 65 characters': params({ nonce: 'n'.repeat(65) }),
    'a keyid of 129 characters': params({ keyid: 'k'.repeat(129) }),
    'an alg of 33 characters': params({ alg: 'a'.repeat(33) }),
    'a tag in upper case': params({ tag: 'Countersign-v1' }),
    'an empty tag': params({ tag: '' }),
    'a time with a leading zero': params({ created: `0${nowSec}` }),
    'a time of 13 digits': params({ created: 1_800_000_000_000 }),
    'a negative time': params({ created: -1 }),
    'a signature of 16 bytes': changed(get(), 'signature', () => `countersign=:${'A'.repeat(22)}==:`),
    'a signature in base64url': changed(get(), 'signature', () => `countersign=:${'-'.repeat(86)}==:`),
    'a signature without its padding': changed(get(), 'signature', (value) => value.replace('==:', ':')),
  },
  tag_mismatch: { 'another tag': params({ tag: 'x' }) },
  algorithm_mismatch: {
    'an unknown alg': params({ alg: 'none' }),
    'alg ed25519 with an HMAC secret': forged(genuine({ key: hmacKey }), {
      key: hmacKey,
      params: standardParams({ keyid: hmacKey.keyid }),
    }),
  },
  signature_invalid: {
    '32 bytes for an ed25519 key': changed(get(), 'signature', () => `countersign=:${'A'.repeat(43)}=:`),
    '64 bytes for an HMAC secret': changed(
      genuine({ key: hmacKey }),
      'signature',
      () => `countersign=:${'A'.repeat(86)}==:`,
    ),
  },
  audience_mismatch: {
    'an anonymous request signed for another service': genuine({ as: anonymous, audience: `${audience}-2` }),
    'audience in upper case': genuine({ as: user, audience: audience.toUpperCase() }),
  },
};

function changedDigest(change: (value: string) => string) {
  return forged(changed(post(), 'content-digest', change), {});
}
