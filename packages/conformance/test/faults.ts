import type { Fault } from './echo-service.ts';

/** What a verifier may forget, or do wrongly. */
export const faults: readonly Fault[] = [
  ['the signature is not checked', 'verify/signed-message.ts', 'if (!verifyBase(', 'if (false && !verifyBase('],
  [
    'an HMAC with the public key is accepted',
    'contract/rfc9421.ts',
    "  if (key.algorithm === 'ed25519') {\n    return verify(",
    "  if (key.algorithm === 'ed25519' && signature.byteLength === 32) return hmac(Buffer.from(key.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'), base).digest().equals(signature);\n  if (key.algorithm === 'ed25519') {\n    return verify(",
  ],
  [
    'nonces are not remembered',
    'verify/verify.ts',
    'await claimNonce(replay, audience, signature.input, { nowSec: nowSec(), rules, isRead });',
    '',
  ],
  [
    'the audience is not compared',
    'verify/verify.ts',
    "if (signedAudience !== audience) throw new IdentityRefused('audience_mismatch');",
    '',
  ],
  [
    'signatures do not expire',
    'verify/freshness.ts',
    "if (nowSec > lastAcceptedSec(life, rules)) throw new IdentityRefused('expired');",
    '',
  ],
  [
    'a signature may last for a year',
    'verify/freshness.ts',
    "if (lifetimeSec <= 0 || lifetimeSec > rules.maxLifetimeSec) throw new IdentityRefused('lifetime_invalid');",
    '',
  ],
  ['the body is not hashed', 'verify/verify.ts', 'contentDigest(body) !== expected', 'false'],
  ['aliases of identity headers pass', 'verify/raw-headers.ts', 'else refuseIdentityHeader(name);', ''],
  [
    'the last of two headers counts',
    'verify/raw-headers.ts',
    "if (values.has(name)) throw new IdentityRefused('header_duplicated', name);",
    '',
  ],
  [
    'signatures for another purpose are accepted',
    'verify/signed-message.ts',
    "if (input.tag !== tag) throw new IdentityRefused('tag_mismatch');",
    '',
  ],
  ['published keys are allowed', 'keys/published-keys.ts', 'areAllowed = false;', 'areAllowed = true;'],
  [
    'the memory of nonces begins at 0',
    'replay/replay-memory.ts',
    'Math.floor(nowMs() / 1000) + 1 + gatewayAheadSec',
    '0 * nowMs() + gatewayAheadSec',
  ],
  [
    'a nonce is remembered until expires',
    'replay/replay-memory.ts',
    'if (expiresSec >= nowSec) continue;',
    'if (expiresSec - 15 >= nowSec) continue;',
  ],
  ['redirects of the key set are followed', '../../jwks/src/fetch-jwks.ts', "redirect: 'manual'", "redirect: 'follow'"],
  [
    'the lifetime is not checked after the body',
    'verify/signed-message.ts',
    'assertFresh(input, nowSec, at.rules);\n  const { nonce }',
    'const { nonce }',
  ],
  ['refusals may be cached', 'adapters/problem.ts', "'cache-control': 'no-store', ", ''],
  ['no path is exempt', 'verify/exempt.ts', "method !== 'GET' && method !== 'HEAD'", 'true'],
  ['every caller has another role', 'verify/identity-headers.ts', "textOf(headers, 'x-user-role')", "'admin'"],
];
