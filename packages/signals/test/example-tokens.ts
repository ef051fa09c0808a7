import { generateKeyPairSync } from 'node:crypto';
import { staticKeySet } from '@countersign/jwks';
import { SignJWT } from 'jose';

type Json = Readonly<Record<string, unknown>>;

/** 2026-01-01, so that every time in a test is relative to it. */
export const nowMs = Date.UTC(2026, 0, 1);
export const nowSec = nowMs / 1000;

/** An issuer of tokens, with the keys that verify them. */
export function exampleSigner(kid = 'k1', alg = 'RS256') {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' };
  return {
    keys: staticKeySet({ keys: [jwk] }, { algorithms: [alg] }),
    sign: (payload: Json, header: Json = {}) =>
      new SignJWT(without(payload)).setProtectedHeader({ alg, kid, ...header }).sign(privateKey),
  };
}

const without = (claims: Json) => Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));

export const issuer = 'https://sso.example.test/realms/acme';
export const audience = 'orders-gateway';

export const logoutPayload = {
  iss: issuer,
  aud: audience,
  iat: nowSec,
  exp: nowSec + 120,
  jti: 'logout-1',
  sub: 'u-1',
  sid: 's-1',
  events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
};

export const caep = 'https://schemas.openid.net/secevent/caep/event-type/';
export const risc = 'https://schemas.openid.net/secevent/risc/event-type/';

export const eventPayload = {
  iss: issuer,
  aud: audience,
  iat: nowSec,
  jti: 'set-1',
  sub_id: { format: 'iss_sub', iss: issuer, sub: 'u-1' },
  events: { [`${caep}session-revoked`]: { event_timestamp: nowSec } } as Json,
};
