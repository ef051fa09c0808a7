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
  ['every caller has another role', 'verify/identity-headers.ts', "textOf(headers, 'x-user-role')", "'admin'"],
];
