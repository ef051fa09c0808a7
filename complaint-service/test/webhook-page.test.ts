import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { signDelivery, webhookKeys } from '../src/domain/webhooks/signature.ts';

type Delivery = Readonly<{ url: string; headers: Record<string, string>; body: string; nowSec: number }>;

const keys = webhookKeys(Buffer.alloc(32, 3));
const secret = keys.secret({ tenantId: 'acme', id: 'w', version: 2 });
const previous = keys.secret({ tenantId: 'acme', id: 'w', version: 1 });
const url = 'https://hooks.example.com/complaints?a=b';
const body = '{"type":"ping"}';
const createdSec = 1_800_000_000;

const signed = (sentBy = [keys.ed25519]) => ({
  ...signDelivery({ url, body: Buffer.from(body), createdSec }, sentBy),
});
const genuine = (changes: Partial<Delivery> = {}, sentBy = [keys.ed25519]): Delivery => ({
  url,
  headers: signed(sentBy),
  body,
  nowSec: createdSec,
  ...changes,
});
function changed(name: string, from: string | RegExp, to: string): Delivery {
  const headers = signed();
  return genuine({ headers: { ...headers, [name]: (headers[name] ?? '').replace(from, to) } });
}

/** Runs the code from the docs page in a separate Node.js process, with these deliveries. */
function verdicts(deliveries: readonly Delivery[]): boolean[] {
  const page = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');
  const [, code = ''] = /```js\n(.*?)```/s.exec(page) ?? [];
  const program = `${code}
    const { deliveries, jwk, keyid, secret } = JSON.parse(process.env.INPUT);
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    const keys = async (id) =>
      id === jwk.kid ? { publicKey } : id === keyid ? { secret: Buffer.from(secret, 'base64url') } : undefined;
    const found = [];
    for (const { nowSec, body, ...rest } of deliveries)
      found.push(await isGenuine({ ...rest, body: Buffer.from(body) }, keys, nowSec));
    console.log(JSON.stringify(found));`;
  const input = { deliveries, jwk: keys.published, keyid: secret.keyid, secret: secret.secret.toString('base64url') };
  const args = ['--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(process.execPath, args, { env: { INPUT: JSON.stringify(input) }, encoding: 'utf8' }));
}

describe('the verifier in docs/webhooks.md', () => {
  test('accepts deliveries by the published key, by a secret, and by two secrets during a rotation', () => {
    const both = [genuine({}, [secret, previous]), genuine({}, [previous, secret])];
    expect(verdicts([genuine(), genuine({}, [secret]), ...both])).toEqual([true, true, true, true]);
  });

  test('refuses deliveries that were changed, are old, or have another key', () => {
    const refused = {
      'another body': genuine({ body: '{}' }),
      'another URL': genuine({ url: 'https://hooks.example.com/other' }),
      'an old signature': genuine({ nowSec: createdSec + 301 }),
      'a signature from the future': genuine({ nowSec: createdSec - 301 }),
      'another time': changed('signature-input', '1800000000', '1800000001'),
      'a missing component': changed('signature-input', ' "content-digest"', ''),
      'another purpose': changed('signature-input', 'countersign-webhook', 'other'),
      'an unknown secret': genuine({}, [previous]),
      'the public key as a secret': changed('signature-input', 'ed25519', 'hmac-sha256'),
      'no signature': genuine({ headers: {} }),
      'a truncated signature': changed('signature', /.{20}:$/, ':'),
    };
    const found = verdicts(Object.values(refused));
    expect(Object.keys(refused).filter((_name, at) => found[at] !== false)).toEqual([]);
  });
});
