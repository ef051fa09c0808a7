import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createVerifier, type MemoryReplay, memoryReplay, type ReplayStore } from '../index.ts';
import { createKeyLookup } from './agreed-lookup.ts';
import { agreeAsGateway } from './agreement.ts';
import { agreementKeyFromJwk, newAgreementJwk, publicAgreementJwk } from './agreement-jwk.ts';
import { openAgreementKeys } from './agreement-keys.ts';
import { gatewayKeys, type RemoteGatewayKeys, staticGatewayKeys } from './gateway-keys.ts';

const audience = 'orders';
const own = newAgreementJwk();
const agreement = openAgreementKeys({ keys: [own] }, audience);
const service = { audience, key: agreementKeyFromJwk(own) };
const edJwk = { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'signing-1', alg: 'EdDSA' };
const gateway = () => agreementKeyFromJwk(newAgreementJwk());

const close: (() => void)[] = [];
afterEach(() => {
  for (const one of close.splice(0)) one();
});

/** A gateway's key set on a real port. */
async function keySet(keys: object[], cooldownMs: number) {
  const served = { keys, isDown: false, fetches: 0 };
  const server = createServer((_req, res) => {
    served.fetches += 1;
    res.writeHead(served.isDown ? 503 : 200).end(JSON.stringify({ keys: served.keys }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const source: RemoteGatewayKeys = gatewayKeys({ url: `http://127.0.0.1:${port}/`, cooldownMs });
  await source.start();
  close.push(
    () => source.stop(),
    () => server.close(),
  );
  return { served, source };
}

describe('with the key set of a gateway', () => {
  test('finds the key of a known pair without waiting, and derives it once', async () => {
    const peer = gateway();
    const { source } = await keySet([edJwk, publicAgreementJwk(peer)], 30_000);
    const lookup = createKeyLookup({ audience, keys: source, agreement });
    const { keyid, secret } = agreeAsGateway(peer, service);
    const found = lookup(keyid);
    expect(found).toEqual({ algorithm: 'hmac-sha256', secret });
    expect(lookup(keyid)).toBe(found);
    expect(lookup('signing-1')).toMatchObject({ algorithm: 'ed25519' });
  });

  test('fetches the set again for a new gateway key, and forgets a withdrawn one', async () => {
    const [first, second] = [gateway(), gateway()];
    const { served, source } = await keySet([edJwk, publicAgreementJwk(first)], 0);
    const lookup = createKeyLookup({ audience, keys: source, agreement });
    const old = agreeAsGateway(first, service).keyid;
    expect(lookup(old)).toBeDefined();
    served.keys = [edJwk, publicAgreementJwk(second)];
    const { keyid, secret } = agreeAsGateway(second, service);
    expect(await lookup(keyid)).toEqual({ algorithm: 'hmac-sha256', secret });
    expect(await lookup(old)).toBeUndefined();
  });

  test('an unknown gateway key stays unknown while fetches fail, so that the gateway uses ed25519', async () => {
    const { served, source } = await keySet([edJwk], 0);
    served.isDown = true;
    const lookup = createKeyLookup({ audience, keys: source, agreement });
    expect(await lookup(agreeAsGateway(gateway(), service).keyid)).toBeUndefined();
    expect(lookup('signing-1')).toBeDefined();
  });

  test("a service without the gateway's keys cannot tell", async () => {
    const { served, source } = await keySet([], 0);
    served.isDown = true;
    const lookup = createKeyLookup({ audience, keys: source, agreement });
    await expect(lookup(agreeAsGateway(gateway(), service).keyid)).rejects.toMatchObject({
      name: 'IdentityUnavailable',
      reason: 'keys_unavailable',
    });
  });

  test("a flood of keyids that name none of the service's keys causes no fetch", async () => {
    const { served, source } = await keySet([edJwk], 0);
    const lookup = createKeyLookup({ audience, keys: source, agreement });
    const before = served.fetches;
    for (let count = 0; count < 100; count += 1) {
      expect(lookup(agreeAsGateway(gateway(), { audience, key: gateway() }).keyid)).toBeUndefined();
    }
    expect(served.fetches).toBe(before);
  });
});

test('a source without key agreement has no agreed key, whatever it returns for the keyid', () => {
  const lookup = createKeyLookup({
    audience,
    keys: { lookup: () => ({ algorithm: 'hmac-sha256', secret: Buffer.alloc(32, 1) }) },
    agreement,
  });
  expect(lookup(agreeAsGateway(gateway(), service).keyid)).toBeUndefined();
  expect(lookup('another')).toBeDefined();
});

describe('the option of a verifier', () => {
  const jwks = { keys: [edJwk] };
  const verifier = (replay: ReplayStore, keys: string) =>
    createVerifier({ audience, keys: staticGatewayKeys(jwks), replay, agreement: keys });
  const shared: ReplayStore = { isShared: true, claim: () => 'fresh' };

  test('refuses a key in memory if several instances share the replay store', () => {
    const alone: MemoryReplay = memoryReplay();
    expect(verifier(alone, 'memory').agreement?.isInMemory).toBe(true);
    expect(() => verifier(shared, 'memory')).toThrow(RangeError);
  });

  test('refuses a directory that cannot be used', () => {
    expect(() => verifier(shared, '/dev/null/keys')).toThrow('ENOTDIR');
  });
});
