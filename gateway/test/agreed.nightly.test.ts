import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newAgreementJwk } from '@countersign/identity';
import { eventually, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createKey, readAgreementKeys, removeKey } from '../src/keys/key-files.ts';
import { type GatewayProcess, gatewayProcess, type Load, loadOn } from './gateway-process.ts';

const program = fileURLToPath(new URL('./kit/agreed-service-process.ts', import.meta.url));
const perSecond = 60;

type Instance = { readonly url: string; process: StartedProcess; start(offsetMs?: number): Promise<void> };
type Counts = Readonly<Record<string, number>>;

describe('agreed keys under load, with a gateway and two instances of a service as processes', () => {
  let home: string;
  let gateway: GatewayProcess;
  let instances: Instance[];
  let load: Load | undefined;
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'countersign-agreed-'));
    gateway = await gatewayProcess();
    createKey('x25519', gateway.keysDir, Math.floor(Date.now() / 1000) - 60);
    const ports = await freePorts(2);
    instances = ports.map((port) => instance(port));
    const targets = JSON.stringify(instances.map(({ url }) => url));
    gateway.write(
      gateway.yaml.replace(
        /things: \{.*\}/,
        `things: { targets: ${targets}, identity: { algorithm: agreed }, retry: { attempts: 1 } }`,
      ),
    );
  });
  afterEach(async () => {
    await load?.stop();
    load = undefined;
    for (const { process } of instances) await process?.stop('SIGKILL');
    await gateway.close();
    rmSync(home, { recursive: true });
  });

  function instance(port: number): Instance {
    const made: Instance = {
      url: `http://127.0.0.1:${port}`,
      process: undefined as unknown as StartedProcess,
      async start(offsetMs = 0) {
        made.process = startProcess({
          args: [program],
          env: {
            PORT: String(port),
            KEYS_URL: `${gateway.internalUrl}/.well-known/jwks.json`,
            AGREEMENT_KEYS: join(home, 'keys'),
            KEY_SET_FILE: join(home, 'key-set'),
            CLOCK_OFFSET_MS: String(offsetMs),
          },
        });
        await made.process.waitFor(/listening/);
      },
    };
    return made;
  }

  /** Starts everything, and waits until both sides agree on a key. */
  async function begin(offsets: readonly number[] = [0, 0]): Promise<string> {
    await gateway.start();
    await Promise.all(instances.map((one, index) => one.start(offsets[index])));
    const keyid = await agreedOn();
    load = loadOn(gateway.url, {
      path: '/v1/things/1',
      perSecond,
      token: await gateway.issuer.accessToken(),
    });
    await answered(perSecond);
    return keyid;
  }

  const identity = async () => {
    const { upstreams } = (await (await fetch(`${gateway.adminUrl}/upstreams`)).json()) as {
      upstreams: { name: string; identity: { uses: string; keyid: string; fallback: string | null } }[];
    };
    const found = upstreams.find(({ name }) => name === 'things');
    if (found === undefined) throw new Error('no such upstream');
    return found.identity;
  };
  /** Waits until both sides agree on a key other than `before`. */
  const agreedOn = (before?: string) =>
    eventually(async () => {
      const { uses, keyid } = await identity();
      expect(uses).toBe('agreed');
      expect(keyid).not.toBe(before);
      return keyid;
    }, 120_000);
  const countsOf = async ({ url }: Instance) => (await (await fetch(`${url}/counts`)).json()) as Counts;
  const total = async (what: string) => {
    const counts = await Promise.all(instances.map(countsOf));
    return counts.reduce((sum, one) => sum + (one[what] ?? 0), 0);
  };
  /** Waits until this many more requests were answered. */
  const answered = (more: number) => {
    const before = load?.outcomes['200'] ?? 0;
    return eventually(() => expect(load?.outcomes['200']).toBeGreaterThan(before + more), 60_000);
  };
  /** Every request so far got 200. */
  async function noneFailed(): Promise<void> {
    const finished = load;
    load = undefined;
    await finished?.stop();
    expect(finished?.outcomes).toEqual({ 200: expect.any(Number) });
  }
  const serveKeySet = (text: string) => writeFileSync(join(home, 'key-set'), text);
  /** Waits until the gateway has fetched every key set again. */
  async function fetchedAgain(): Promise<void> {
    const before = await Promise.all(instances.map(countsOf));
    await eventually(async () => {
      const now = await Promise.all(instances.map(countsOf));
      for (const [index, one] of now.entries()) expect(one.key_set).toBeGreaterThan(before[index]?.key_set ?? 0);
    }, 120_000);
  }
  function addServiceKey(number: number, madeSecAgo: number): void {
    const text = JSON.stringify({ ...newAgreementJwk(), iat: Math.floor(Date.now() / 1000) - madeSecAgo });
    writeFileSync(join(home, 'keys', `agreement-${number}.jwk.json`), text, { mode: 0o600 });
  }

  test('the service replaces its key', async () => {
    const before = await begin();
    // From now on, published together with the old one, and later alone.
    addServiceKey(2, 31);
    const second = await agreedOn(before);
    await answered(2 * perSecond);
    addServiceKey(3, 16 * 60);
    await agreedOn(second);
    await answered(2 * perSecond);
    expect(await total('key_unknown')).toBe(0);
    expect(await total('ed25519')).toBe(0);
    await noneFailed();
  }, 300_000);

  test('the gateway replaces its key, first with a published one and then immediately', async () => {
    const before = await begin();
    createKey('x25519', gateway.keysDir, Math.floor(Date.now() / 1000) + 20);
    const second = await agreedOn(before);
    await answered(perSecond);
    // In an emergency: services have not fetched the new key, and the old one is gone.
    const third = createKey('x25519', gateway.keysDir, Math.floor(Date.now() / 1000));
    for (const key of readAgreementKeys(gateway.keysDir)) {
      if (key.kid !== third) removeKey(gateway.keysDir, key);
    }
    await agreedOn(second);
    await answered(2 * perSecond);
    await noneFailed();
  }, 300_000);

  test('one of two instances restarts, and the other goes down', async () => {
    await begin();
    const [one, other] = instances as [Instance, Instance];
    await one.process.stop();
    await answered(perSecond);
    await one.start();
    // Its ejection is over, so the gateway sends it requests again.
    await eventually(async () => expect((await countsOf(one))['hmac-sha256']).toBeGreaterThan(perSecond / 4), 30_000);
    await other.process.stop();
    await answered(2 * perSecond);
    expect((await identity()).uses).toBe('agreed');
    await noneFailed();
  }, 300_000);

  test("an attacker replaces the service's key set, and then it is garbage, and then empty", async () => {
    await begin();
    const { d: _private, ...stranger } = newAgreementJwk();
    serveKeySet(JSON.stringify({ keys: [stranger] }));
    // The gateway uses the stranger's key for one request only: the service refuses it.
    await eventually(async () => expect((await identity()).fallback).toBe('key_unknown'), 120_000);
    expect(await total('key_unknown')).toBeGreaterThan(0);
    serveKeySet('<p>garbage</p>');
    await fetchedAgain();
    await answered(perSecond);
    serveKeySet('{"keys":[]}');
    await fetchedAgain();
    await eventually(async () => expect((await identity()).fallback).toBe('no_common_key'), 60_000);
    await answered(perSecond);
    rmSync(join(home, 'key-set'));
    // The service's own key is back after a set without it, as behind an address of several instances with own keys.
    await eventually(async () => expect((await identity()).fallback).toBe('instances_differ'), 120_000);
    await answered(perSecond);
    expect(await total('signature_invalid')).toBe(0);
    await noneFailed();
  }, 400_000);

  test('the clocks of the instances are off by 5 s', async () => {
    await begin([5_000, -5_000]);
    await answered(5 * perSecond);
    expect(await total('ed25519')).toBe(0);
    await noneFailed();
  }, 300_000);
});
