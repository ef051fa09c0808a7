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

/** Every value at its longest, and the spellings that are allowed though the gateway does not write them. */
export const grammarAccepted: VectorCase[] = [
  {
    name: 'every value at its longest',
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
  { name: 'the shortest nonce', message: genuine({ nonce: 'n'.repeat(16) }) },
  { name: 'created in second 0', message: params({ created: 0, expires: 30 }), at: 10 },
  { name: 'the context is empty', message: withContext('') },
  { name: 'the context in another order', message: withContext('amr=("pwd"), sid="s-1", ip="192.0.2.7"') },
  { name: 'the context with other spaces', message: withContext('ip="192.0.2.7",sid="s-1"  ,  amr=( "pwd"  "otp" )') },
  { name: 'the context with an IPv6 address and second 0', message: withContext('ip="2001:db8::7", auth-time=0') },
  { name: 'the context of 2048 characters', message: withContext(`ip="192.0.2.7",${' '.repeat(2024)}sid="s-1"`) },
  {
    name: 'names that only look like an alias',
    message: plus(post(), ['content_type', 'text/html'], ['xuser', 'root'], ['x_forwarded_for', '192.0.2.8']),
  },
];

/** Every one is signed over what it says, so that the grammar alone can refuse it. */
export const grammarRefused: Refused = {
  target_malformed: {
    'a space': withTarget('/v1/a b'),
    'a character beyond ASCII': withTarget('/v1/caf\u00e9'),
    'an empty target': withTarget(''),
    ...cases(
      ['\\', '"', '<', '>', '`', '{', '}', '^', '|'].flatMap((c) => [`/v1/a${c}b`, `/v1/a?b${c}`]),
      withTarget,
    ),
    ...cases(["/v1/a?b='", '//v1/a', '/v1/../a', '/v1/./a', '/..', '/v1/a/.', '/v1/%2e%2E/a', '/.%2e/a'], withTarget),
    ...cases(['get', 'Get', 'M-SEARCH-X', 'GET1'], (method) => forged({ ...get(), method }, {})),
  },
  header_malformed: {
    'a no-break space around a value': signedWith(get(), 'x-user-id', '\u00a0u-1'),
    'a tab inside a value': signedWith(post(), 'content-type', 'text/plain;\tcharset=utf-8'),
    'an empty value': signedWith(get(), 'x-user-id', ''),
    'an id of 129 characters': signedWith(get(), 'x-tenant-id', 't'.repeat(129)),
    'a role of 65 characters': signedWith(get(), 'x-user-role', 'r'.repeat(65)),
    'a content-type of 1025 characters': signedWith(post(), 'content-type', `text/${'x'.repeat(1020)}`),
    'a txn-token of 4097 characters': signedWith(genuine({ txnToken: txn }), 'txn-token', `${'h'.repeat(4093)}.p.s`),
    'a txn-token of two parts': signedWith(genuine({ txnToken: txn }), 'txn-token', 'aaaa.bbbb'),
    'a txn-token with an empty part': signedWith(genuine({ txnToken: txn }), 'txn-token', 'aaaa..cccc'),
    'a request id in upper case': signedWith(get(), 'x-request-id', '01A2B3C4-D5E6-7F80-9102-A3B4C5D6E7F8'),
    'two digests': changedDigest((value) => `${value}, ${value}`),
    'a digest without its padding': changedDigest((value) => `${value.slice(0, -2)}:`),
    'a digest named in upper case': changedDigest((value) => value.replace('sha', 'SHA')),
    'an upgrade that is no token': signedWith(upgrading(), 'upgrade', 'web socket'),
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
    'over 1024 characters': forged(get(), { components: Array.from({ length: 200 }, () => 'x-a') }),
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
    'an alg nobody knows': params({ alg: 'none' }),
    'an HMAC secret that is said to be an ed25519 key': forged(genuine({ key: hmacKey }), {
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
    'signed for another service, for an anonymous caller': genuine({ as: anonymous, audience: `${audience}-2` }),
    'signed for this name in upper case': genuine({ as: user, audience: audience.toUpperCase() }),
  },
};

function changedDigest(change: (value: string) => string) {
  return forged(changed(post(), 'content-digest', change), {});
}
