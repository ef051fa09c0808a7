import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { proveWebhook, standardKey, type WebhookProof } from './webhook-proof.ts';

type Headers = Readonly<Record<string, string>>;

const bytes = (text: string) => Buffer.from(text);
const prove = (proof: WebhookProof, headers: Headers, body: string, secrets: readonly string[], nowMs?: number) =>
  proveWebhook(proof, { header: (name) => headers[name], body: bytes(body) }, secrets.map(bytes), nowMs);
const refused = expect.objectContaining({ code: 'authentication_failed' });

describe('Standard Webhooks', () => {
  const standard = { kind: 'standard' } as const;
  // https://docs.svix.com/receiving/verifying-payloads/how-manual
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const body = '{"test": 2432232314}';
  const signedAtMs = 1_614_265_330_000;
  const headers = {
    'svix-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'svix-timestamp': '1614265330',
    'svix-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  };
  const other = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
  const proved = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', signedAtMs };

  test('accepts the documented example, under both names, and by either secret', () => {
    expect(prove(standard, headers, body, [secret], signedAtMs)).toEqual(proved);
    const renamed = Object.fromEntries(Object.entries(headers).map(([n, v]) => [n.replace('svix', 'webhook'), v]));
    expect(prove(standard, renamed, body, [other, secret], signedAtMs)).toEqual(proved);
    const listed = { ...headers, 'svix-signature': `v1,AAAA v2,x ${headers['svix-signature']}` };
    expect(prove(standard, listed, body, [secret], signedAtMs)).toEqual(proved);
  });

  test.each([-300_000, 300_000])('accepts a time that differs by %d ms, and no more', (ms) => {
    expect(prove(standard, headers, body, [secret], signedAtMs + ms)).toEqual(proved);
    expect(() => prove(standard, headers, body, [secret], signedAtMs + ms + Math.sign(ms))).toThrow(refused);
  });

  test.each<readonly [string, Headers, string?, string?]>([
    ['another secret', {}, body, other],
    ['a secret without its prefix', {}, body, secret.slice(6)],
    ['another body', {}, `${body} `],
    ['another id', { 'svix-id': 'msg_x' }],
    ['an id with a dot', { 'svix-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330', 'svix-timestamp': '1' }],
    ['another time', { 'svix-timestamp': '1614265331' }],
    ['the same time in other digits', { 'svix-timestamp': '01614265330' }],
    ['no signature', { 'svix-signature': '' }],
    ['no version', { 'svix-signature': headers['svix-signature'].slice(3) }],
    ['another version', { 'svix-signature': headers['svix-signature'].replace('v1', 'v1a') }],
    ['another case of the signature', { 'svix-signature': headers['svix-signature'].replace('g0h', 'G0h') }],
    ['16 signatures before it', { 'svix-signature': `${'v1,AAAA '.repeat(16)}${headers['svix-signature']}` }],
    ['headers of both names', { 'svix-signature': '', 'webhook-signature': headers['svix-signature'] }],
  ])('refuses %s', (_name, changed, text = body, key = secret) => {
    expect(() => prove(standard, { ...headers, ...changed }, text, [key], signedAtMs)).toThrow(refused);
  });

  test('refuses an id with a dot, even if it is signed', () => {
    const signature = createHmac('sha256', Buffer.from(secret.slice(6), 'base64')).update(`a.b.1614265330.${body}`);
    const dotted = {
      'svix-id': 'a.b',
      'svix-timestamp': '1614265330',
      'svix-signature': `v1,${signature.digest('base64')}`,
    };
    expect(() => prove(standard, dotted, body, [secret], signedAtMs)).toThrow(refused);
  });

  test('verifies v1a by a public key, and never takes it for a secret', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
    const signed = bytes(`m.1614265330.${body}`);
    const of = (signature: string) => ({
      'webhook-id': 'm',
      'webhook-timestamp': '1614265330',
      'webhook-signature': signature,
    });
    const good = sign(null, signed, privateKey).toString('base64');
    expect(prove(standard, of(`v1a,${good}`), body, [`whpk_${raw}`], signedAtMs)).toEqual({ id: 'm', signedAtMs });
    expect(() => prove(standard, of(`v1a,${good}`), `${body}x`, [`whpk_${raw}`], signedAtMs)).toThrow(refused);
    expect(() => prove(standard, of(`v1,${good}`), body, [`whpk_${raw}`], signedAtMs)).toThrow(refused);
    // Anyone may know the public key, so an HMAC with it proves nothing.
    const forged = createHmac('sha256', Buffer.from(raw, 'base64')).update(signed).digest('base64');
    expect(() => prove(standard, of(`v1,${forged}`), body, [`whpk_${raw}`], signedAtMs)).toThrow(refused);
    expect(() => prove(standard, of('v1a,AAAA'), body, [`whpk_${raw}`], signedAtMs)).toThrow(refused);
  });

  test.each([
    [`whsec_${Buffer.alloc(23, 1).toString('base64')}`, false],
    [`whsec_${Buffer.alloc(24, 1).toString('base64')}`, true],
    [`whsec_${Buffer.alloc(65, 1).toString('base64')}`, false],
    [`whsk_${Buffer.alloc(32, 1).toString('base64')}`, false],
    [`whpk_${Buffer.alloc(31, 1).toString('base64')}`, false],
    ['whsec_not base64, but long enough to be a secret', false],
  ])('the secret %s is usable: %p', (text, isUsable) => {
    expect(standardKey(bytes(text)) !== undefined).toBe(isUsable);
  });
});

describe('an HMAC in a header', () => {
  const secret = 'a-signing-key-of-32-characters-00';
  const body = '{"a":1}';
  const mac = (text: string, encoding: 'hex' | 'base64' = 'hex', key = secret) =>
    createHmac('sha256', key).update(text).digest(encoding);
  const hmac = (changes: object = {}): WebhookProof =>
    ({ kind: 'hmac', header: 'x-sig', encoding: 'hex', prefix: '', time: 'none', ...changes }) as WebhookProof;

  test('without a time is of the body', () => {
    expect(prove(hmac(), { 'x-sig': mac(body) }, body, ['other', secret], 0)).toEqual({});
    const base64 = hmac({ encoding: 'base64', prefix: 'sha256=' });
    expect(prove(base64, { 'x-sig': `sha256=${mac(body, 'base64')}` }, body, [secret], 0)).toEqual({});
    for (const wrong of [mac(`${body} `), mac(body, 'hex', 'other'), `sha256=${mac(body)}`, '', undefined])
      expect(() => prove(hmac(), wrong === undefined ? {} : { 'x-sig': wrong }, body, [secret], 0)).toThrow(refused);
  });

  test.each([['seconds', 1_800_000_000] as const, ['milliseconds', 1_800_000_000_000] as const])(
    'with a time in %s covers both',
    (time, t) => {
      const proof = hmac({ time });
      const nowMs = 1_800_000_000_000;
      const good = { 'x-sig': `t=${t}, v1=${mac('x')},v1=${mac(`${t}.${body}`)}` };
      expect(prove(proof, good, body, [secret], nowMs)).toEqual({ signedAtMs: nowMs });
      expect(() => prove(proof, good, body, [secret], nowMs + 300_001)).toThrow(refused);
      expect(() => prove(proof, good, body, [secret], nowMs - 300_001)).toThrow(refused);
      for (const wrong of [
        `t=${t + 1},v1=${mac(`${t}.${body}`)}`,
        `t=${t},t=${t},v1=${mac(`${t}.${body}`)}`,
        `t=,v1=${mac(`.${body}`)}`,
        `v1=${mac(body)}`,
        `t=${t},v0=${mac(`${t}.${body}`)}`,
        `t=${t}`,
      ])
        expect(() => prove(proof, { 'x-sig': wrong }, body, [secret], nowMs)).toThrow(refused);
    },
  );
});

test('nothing but the secret itself passes as a bearer', () => {
  const bearer = { kind: 'bearer' } as const;
  expect(prove(bearer, { authorization: 'Bearer s3cret' }, '', ['old', 's3cret'])).toEqual({});
  for (const authorization of ['s3cret', 'Bearer s3cre', 'Bearer s3crett', 'Basic s3cret', 'Bearer ', ''])
    expect(() => prove(bearer, { authorization }, '', ['s3cret'])).toThrow(refused);
});

test('no header without the secret passes, whatever it says', () => {
  const proofs: readonly WebhookProof[] = [
    { kind: 'standard' },
    { kind: 'bearer' },
    { kind: 'hmac', header: 'h', encoding: 'hex', prefix: '', time: 'none' },
    { kind: 'hmac', header: 'h', encoding: 'base64', prefix: 'sha256=', time: 'seconds' },
  ];
  fc.assert(
    fc.property(fc.constantFrom(...proofs), fc.string(), fc.string(), (proof, value, body) => {
      const header = (name: string) => (name.endsWith('-timestamp') ? '1' : value);
      const delivery = { header, body: bytes(body) };
      expect(() => proveWebhook(proof, delivery, [bytes(`whsec_${'A'.repeat(32)}`)], undefined)).toThrow(refused);
    }),
  );
});
