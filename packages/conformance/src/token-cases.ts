import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { VectorRequest } from './vectors.ts';

/** What the tokens of one run are for. `issuer` excludes the service's name, and `target` is the path to ask for. */
export type TokenReceiver = Readonly<{ audience: string; issuer: string; header: string; target: string }>;

export type TokenCase = Readonly<{
  name: string;
  request: VectorRequest;
  /** `bound`: valid for another request, so that only a service that checks `req` refuses it. */
  expected: 'accepted' | 'refused' | 'bound';
  /** Must be accepted. Otherwise the service does not serve such requests, and the case is not sent. */
  before?: VectorRequest;
}>;

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const newKid = () => randomBytes(16).toString('base64url');
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Creates the key of one run, and the tokens that it and others sign. */
export function createTokenCases() {
  const [{ privateKey, publicKey }, other, kid] = [newKey(), newKey().privateKey, newKid()];
  const pem = publicKey.export({ format: 'pem', type: 'spki' });

  const signed = (header: object, claims: object, signer: (text: Buffer) => Buffer): string => {
    const text = `${encode({ typ: 'JWT', kid, ...header })}.${encode(claims)}`;
    return `${text}.${signer(Buffer.from(text)).toString('base64url')}`;
  };
  const es256 = (claims: object, header: object = {}, key = privateKey) =>
    signed({ alg: 'ES256', ...header }, claims, (text) => sign('sha256', text, { key, dsaEncoding: 'ieee-p1363' }));

  return {
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] },
    /** @param nowSec Unix seconds when the cases are sent. The first case is a valid token. */
    at({ audience, issuer, header, target }: TokenReceiver, nowSec: number): readonly [TokenCase, ...TokenCase[]] {
      const own = { iss: `${issuer}/${audience}`, aud: audience, sub: 'conformance', user_id: 'conformance' };
      const times = { iat: nowSec, nbf: nowSec, exp: nowSec + 30 };
      const req = { m: 'GET', t: target };
      const claims = { ...own, caller: 'user', role: 'agent', tenant_id: 'conformance', ...times, jti: newKid(), req };
      const [iss, aud] = [`${issuer}/not-${audience}`, `not-${audience}`];
      const [head, , signature] = es256(claims).split('.');
      const ofClient = { iss: 'https://login.example.test', aud: 'api', sub: 'conformance', exp: times.exp };
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
      const scheme = header === 'authorization' ? 'Bearer ' : '';
      const get = (token: string) =>
        ({ method: 'GET', target, headers: [[header, scheme + token]], body_base64: '' }) as const;
      const digest = createHash('sha256').update('{"a":1}').digest('base64url');
      const posted = get(es256({ ...claims, req: { m: 'POST', t: target, d: digest, c: 'application/json' } }));
      const post = (body: string): VectorRequest => ({
        ...{ ...posted, method: 'POST', body_base64: Buffer.from(body).toString('base64') },
        headers: [...posted.headers, ['content-type', 'application/json']],
      });
      const refused = {
        "another service's token": es256({ ...claims, iss, aud }),
        "another service's issuer": es256({ ...claims, iss }),
        'another audience': es256({ ...claims, aud }),
        'a token that expired an hour ago': es256({ ...claims, nbf: 0, iat: nowSec - 3_630, exp: nowSec - 3_600 }),
        'an altered token': `${head}.${encode({ ...claims, sub: 'admin' })}.${signature}`,
        'alg: none': signed({ alg: 'none' }, claims, () => Buffer.alloc(0)),
        'HS256 with the public key': signed({ alg: 'HS256' }, claims, (text) =>
          createHmac('sha256', pem).update(text).digest(),
        ),
        'an unknown kid': es256(claims, { kid: newKid() }, other),
        "another gateway's token": es256({ ...claims, iss: `https://other.example.test/${audience}` }, {}, other),
        "a client's access token": es256(ofClient, { kid: newKid(), typ: 'at+jwt' }, other),
        'a logout token': es256({ ...ofClient, aud: 'web', events }, { kid: newKid(), typ: 'logout+jwt' }, other),
      };
      const forAnother = (otherReq: object) => es256({ ...claims, req: otherReq });
      const bound = {
        'a token for another path': forAnother({ m: 'GET', t: `${target}/other` }),
        'a token for another method': forAnother({ m: 'DELETE', t: target }),
        'a token for another upgrade': forAnother({ ...req, u: 'websocket', k: 'dGhlIHNhbXBsZSBub25jZQ==' }),
      };
      const cases = (expected: TokenCase['expected'], tokens: Readonly<Record<string, string>>): TokenCase[] =>
        Object.entries(tokens).map(([name, token]) => ({ name, request: get(token), expected }));
      return [
        { name: 'a valid token', request: get(es256(claims)), expected: 'accepted' },
        ...cases('refused', refused),
        ...cases('bound', bound),
        { name: 'a token for another body', request: post('{"a":2}'), expected: 'bound', before: post('{"a":1}') },
      ];
    },
  };
}
