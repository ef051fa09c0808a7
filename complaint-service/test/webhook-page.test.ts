import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { signDelivery } from '../src/domain/webhooks/signature.ts';
import { webhookKeys } from '../src/domain/webhooks/webhook-keys.ts';

type Delivery = Readonly<{ url: string; headers: Record<string, string>; body: Buffer }>;
type IsGenuine = (delivery: Delivery, keys: (id: string) => Promise<unknown>, nowSec?: number) => Promise<boolean>;

const keys = webhookKeys(Buffer.alloc(32, 3));
const secret = keys.secret({ tenantId: 'acme', id: 'w', version: 2 });
const previous = keys.secret({ tenantId: 'acme', id: 'w', version: 1 });
const url = 'https://hooks.example.com/complaints?a=b';
const body = Buffer.from('{"type":"ping"}');
const createdSec = 1_800_000_000;

describe('the verifier in docs/webhooks.md', () => {
  let directory: string;
  let isGenuine: IsGenuine;
  beforeAll(async () => {
    const page = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');
    const [, code = ''] = /```js\n(.*?)```/s.exec(page) ?? [];
    directory = mkdtempSync(join(tmpdir(), 'webhook-page-'));
    const file = join(directory, 'verify.mjs');
    writeFileSync(file, code);
    ({ isGenuine } = await import(file));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const findKey = async (id: string) => {
    if (id === keys.published.kid) return { publicKey: createPublicKey({ key: { ...keys.published }, format: 'jwk' }) };
    return id === secret.keyid ? { secret: secret.secret } : undefined;
  };
  const accepts = (delivery: Partial<Delivery>, sentBy = [keys.ed25519], nowSec = createdSec) => {
    const headers = { ...signDelivery({ url, body, createdSec }, sentBy) };
    return isGenuine({ url, headers, body, ...delivery }, findKey, nowSec);
  };
  const changed = (name: string, from: string | RegExp, to: string) => {
    const headers = { ...signDelivery({ url, body, createdSec }, [keys.ed25519]) };
    return { headers: { ...headers, [name]: (headers[name] ?? '').replace(from, to) } };
  };

  test('accepts deliveries by the published key, by a secret, and by two secrets during a rotation', async () => {
    expect(await accepts({})).toBe(true);
    expect(await accepts({}, [secret])).toBe(true);
    expect(await accepts({}, [secret, previous])).toBe(true);
    expect(await accepts({}, [previous, secret])).toBe(true);
  });

  test.each<[string, () => Promise<boolean>]>([
    ['another body', () => accepts({ body: Buffer.from('{}') })],
    ['another URL', () => accepts({ url: 'https://hooks.example.com/other' })],
    ['an old one', () => accepts({}, [keys.ed25519], createdSec + 301)],
    ['one from the future', () => accepts({}, [keys.ed25519], createdSec - 301)],
    ['another time', () => accepts(changed('signature-input', '1800000000', '1800000001'))],
    ['a component left out', () => accepts(changed('signature-input', ' "content-digest"', ''))],
    ['another purpose', () => accepts(changed('signature-input', 'countersign-webhook', 'other'))],
    ['an unknown secret', () => accepts({}, [previous])],
    ['the public key as a secret', () => accepts(changed('signature-input', 'ed25519', 'hmac-sha256'))],
    ['no signature', () => accepts({ headers: {} })],
    ['half a signature', () => accepts(changed('signature', /.{20}:$/, ':'))],
  ])('refuses %s', async (_what, accepted) => {
    expect(await accepted()).toBe(false);
  });
});
