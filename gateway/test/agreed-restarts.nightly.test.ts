import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newAgreementJwk } from '@countersign/identity';
import { eventually, freePorts, type StartedProcess } from '@countersign/testing';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createKey } from '../src/keys/key-files.ts';
import { type GatewayProcess, gatewayProcess } from './gateway-process.ts';
import { type ConnectionBalancer, connectionBalancer } from './kit/connection-balancer.ts';
import { type CountedRequests, clients, countedRequests } from './kit/counted-requests.ts';
import { type ReadmeService, readmeService } from './kit/readme-service.ts';

const count = 10_000;
const restarts = 3;
/** A killed process breaks the connections of requests that are under way, and of those sent before this is noticed. */
const mostBroken = 2 * clients;
/** The service does not run. Nothing was handled, so clients may send it again. */
const serviceIsDown = '502 upstream_unreachable';

const report: string[] = [];
afterAll(() => void process.stdout.write(`${report.join('\n')}\n`));

describe(`${count} requests with agreed keys through a gateway to the service in README.md, as processes`, () => {
  let home: string;
  let gateway: GatewayProcess;
  let gatewayRun: StartedProcess;
  let balancer: ConnectionBalancer | undefined;
  let requests: CountedRequests | undefined;
  const running = new Set<StartedProcess>();
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'countersign-agreed-'));
    gateway = await gatewayProcess();
    createKey('x25519', gateway.keysDir, Math.floor(Date.now() / 1000) - 60);
  });
  afterEach(async () => {
    for (const one of running) await one.stop('SIGKILL');
    running.clear();
    requests?.abandon();
    await requests?.finish();
    requests = undefined;
    await balancer?.close();
    balancer = undefined;
    await gateway.close();
    rmSync(home, { recursive: true });
  });

  async function services(howMany: number): Promise<ReadmeService[]> {
    const ports = await freePorts(howMany);
    const keysUrl = `${gateway.internalUrl}/.well-known/jwks.json`;
    if (howMany > 1) balancer = await connectionBalancer(ports);
    return ports.map((port, at) => readmeService(join(home, String(at)), port, keysUrl));
  }
  const behindBalancer = async () => {
    const [port = 0] = await freePorts(1);
    balancer = await connectionBalancer([port]);
    return readmeService(join(home, 'service'), port, `${gateway.internalUrl}/.well-known/jwks.json`);
  };
  async function startService(service: ReadmeService, ...edits: Parameters<ReadmeService['start']>[0] & object) {
    const started = await service.start(edits);
    running.add(started);
    return started;
  }
  /** Writes gateway.yaml. Another timeout makes the gateway fetch the key set of its service at once. */
  const configure = (url: string, connectMs = 1000) =>
    gateway.write(
      gateway.yaml
        .replace(
          /things: \{.*\}/,
          `my-service: { targets: ["${url}"], identity: { algorithm: agreed }, timeouts: { connect: ${connectMs}ms } }`,
        )
        .replaceAll('upstream: things', 'upstream: my-service')
        .replace('"/v1/things/**"', '/hello'),
    );
  const startGateway = async () => {
    gatewayRun = await gateway.start();
  };
  const identity = async () => {
    const { upstreams } = (await (await fetch(`${gateway.adminUrl}/upstreams`)).json()) as {
      upstreams: { name: string; identity: { uses: string; keyid: string; fallback: string | null } }[];
    };
    const found = upstreams.find(({ name }) => name === 'my-service');
    if (found === undefined) throw new Error('no such upstream');
    return found.identity;
  };
  /** The value of a metric of the running gateway. */
  const metric = async (labels: string) => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    const line = text.split('\n').find((one) => one.includes(labels) && one.includes('upstream="my-service"'));
    return Number(line?.split(' ').at(-1));
  };

  /** Waits until the services have the gateway's keys, because they started first. @returns A token. */
  async function firstAnswer(): Promise<string> {
    const token = await gateway.issuer.accessToken();
    await eventually(async () => {
      const answer = await fetch(`${gateway.url}/hello`, { headers: { authorization: `Bearer ${token}` } });
      expect(answer.status).toBe(200);
    }, 30_000);
    return token;
  }

  /** Starts the requests, once agreed keys sign them. */
  async function begin(perSecond: number, repeats: readonly string[] = []): Promise<CountedRequests> {
    await eventually(async () => expect((await identity()).uses).toBe('agreed'));
    const token = await firstAnswer();
    requests = countedRequests(gateway.url, { token, count, perSecond, repeats });
    await moreRequests(500);
    expect(requests.signedWith).toEqual({ 'hmac-sha256': expect.any(Number) });
    return requests;
  }
  /** Waits until this many more requests were handled. */
  const moreRequests = (more: number) => {
    const wanted = handled() + more;
    return eventually(() => expect(handled()).toBeGreaterThanOrEqual(wanted), 60_000);
  };
  function started(): CountedRequests {
    if (requests === undefined) throw new Error('no requests yet');
    return requests;
  }
  const handled = () => started().final['200'] ?? 0;
  /** Waits until requests are signed in this way. @returns Milliseconds. */
  async function untilSignedWith(algorithm: string, withinMs: number): Promise<number> {
    const beganAt = performance.now();
    const before = handled();
    await eventually(() => {
      expect(handled()).toBeGreaterThan(before);
      expect(started().algorithm()).toBe(algorithm);
    }, withinMs);
    return performance.now() - beganAt;
  }
  /** All requests got 200, but for those that a killed process broke. */
  async function noneRefused(what: string, about: string, kills = 0): Promise<void> {
    const { final, repeated, signedWith, finish } = started();
    requests = undefined;
    await finish();
    const [outcomes, algorithms, again] = [final, signedWith, repeated].map((counts) => JSON.stringify(counts));
    report.push(`${what}: ${outcomes}, signed with ${algorithms}, sent again after ${again}; ${about}`);
    const broken = final['502 upstream_broken'] ?? 0;
    expect(final).toEqual({ 200: count - broken, ...(broken > 0 && { '502 upstream_broken': broken }) });
    expect(broken).toBeLessThanOrEqual(kills * mostBroken);
  }
  const inMs = (times: readonly number[]) => `agreed again after ${times.map((ms) => Math.round(ms)).join(', ')} ms`;

  test('the service restarts, with its key in memory', async () => {
    const [service] = (await services(1)) as [ReadmeService];
    let current = await startService(service);
    configure(service.url);
    await startGateway();
    await begin(500, [serviceIsDown]);
    const times: number[] = [];
    for (let restart = 0; restart < restarts; restart += 1) {
      await current.stop();
      current = await startService(service);
      times.push(await untilSignedWith('hmac-sha256', 10_000));
      await moreRequests(500);
    }
    expect(await metric('reason="instances_differ"')).toBe(0);
    await noneRefused('the service restarts three times', inMs(times), restarts);
  }, 120_000);

  test('the gateway restarts, behind clients that repeat refused connections only', async () => {
    const [service] = (await services(1)) as [ReadmeService];
    await startService(service);
    configure(service.url);
    await startGateway();
    await begin(500, ['ECONNREFUSED']);
    const times: number[] = [];
    for (let restart = 0; restart < restarts; restart += 1) {
      expect(await gatewayRun.stop()).toBe(0);
      await startGateway();
      times.push(await untilSignedWith('hmac-sha256', 10_000));
      await moreRequests(500);
    }
    await noneRefused('the gateway restarts three times', inMs(times));
  }, 120_000);

  test('the gateway and the service restart at the same time', async () => {
    const [service] = (await services(1)) as [ReadmeService];
    let current = await startService(service);
    configure(service.url);
    await startGateway();
    await begin(500, ['ECONNREFUSED', serviceIsDown]);
    const times: number[] = [];
    for (let restart = 0; restart < restarts; restart += 1) {
      await Promise.all([gatewayRun.stop(), current.stop()]);
      [current] = await Promise.all([startService(service), startGateway()]);
      times.push(await untilSignedWith('hmac-sha256', 10_000));
      await moreRequests(500);
    }
    await noneRefused('both restart three times', inMs(times), restarts);
  }, 120_000);

  test('three instances behind one address, each with a key in memory', async () => {
    const instances = await services(3);
    for (const one of instances) await startService(one);
    configure(balancer?.url ?? '');
    await startGateway();
    const token = await firstAnswer();
    requests = countedRequests(gateway.url, { token, count, perSecond: 200, repeats: [] });
    const beganAt = performance.now();
    await eventually(async () => expect((await identity()).fallback).toBe('instances_differ'), 60_000);
    const ms = Math.round(performance.now() - beganAt);
    await moreRequests(600);
    // The alert CountersignInstancesDiffer counts this.
    expect(await metric('reason="instances_differ"')).toBeGreaterThan(500);
    expect(gatewayRun.output()).toContain('instances behind one address publish different keys');
    await noneRefused('three instances with three keys', `the alarm after ${ms} ms, ed25519 from then on`);
  }, 120_000);

  test('the service stops publishing its key: a version without agreement, and later one with it', async () => {
    const [service] = (await services(1)) as [ReadmeService];
    const first = await startService(service);
    configure(service.url);
    await startGateway();
    await begin(500, [serviceIsDown]);
    await first.stop();
    const second = await startService(service, [", agreement: 'memory'", '']);
    await untilSignedWith('ed25519', 10_000);
    await moreRequests(2_000);
    expect((await identity()).uses).toBe('ed25519');
    await second.stop();
    await startService(service);
    const times = [await untilSignedWith('hmac-sha256', 10_000)];
    await noneRefused('a version without agreement, and one with it again', inMs(times), 2);
  }, 120_000);

  test('the service stops publishing its key, but still accepts it', async () => {
    const service = await behindBalancer();
    await startService(service);
    configure(balancer?.url ?? '');
    await startGateway();
    await begin(120);
    balancer?.answerKeys(answerWith('404 Not Found', ''));
    const ms = await untilSignedWith('ed25519', 70_000);
    expect((await identity()).fallback).toBe('no_common_key');
    balancer?.answerKeys(undefined);
    configure(balancer?.url ?? '', 1001);
    const again = await untilSignedWith('hmac-sha256', 10_000);
    await noneRefused(
      '404 for the key set',
      `ed25519 after ${Math.round(ms)} ms, agreed ${Math.round(again)} ms after a reload`,
    );
  }, 180_000);

  test('the service publishes garbage', async () => {
    const service = await behindBalancer();
    await startService(service);
    configure(balancer?.url ?? '');
    await startGateway();
    await begin(90);
    const { keys } = (await (await fetch(`${service.url}/.well-known/jwks.json`)).json()) as { keys: [object] };
    // These are no key sets, so the last keys stay in use. The gateway fetches again after 60 s, and then more often.
    const { output } = gatewayRun;
    for (const bytes of noKeySets(keys[0])) {
      balancer?.answerKeys(bytes);
      await eventually(() => expect(balancer?.keyAnswers()).toBeGreaterThan(0), 70_000);
      await moreRequests(20);
      expect((await identity()).uses).toBe('agreed');
    }
    expect(started().signedWith).toEqual({ 'hmac-sha256': expect.any(Number) });
    // These are key sets without a usable key. A reload makes the gateway fetch at once.
    let connectMs = 1000;
    for (const set of uselessSets(keys[0])) {
      balancer?.answerKeys(answerWith('200 OK', JSON.stringify(set)));
      connectMs += 1;
      configure(balancer?.url ?? '', connectMs);
      await eventually(() => expect(balancer?.keyAnswers()).toBeGreaterThan(0), 10_000);
      await eventually(async () => expect((await identity()).fallback).toBe('no_common_key'));
      await moreRequests(20);
      expect(started().algorithm()).toBe('ed25519');
    }
    balancer?.answerKeys(undefined);
    configure(balancer?.url ?? '', 999);
    const again = await untilSignedWith('hmac-sha256', 10_000);
    expect(output()).not.toContain('"code":"identity_refused"');
    await noneRefused('garbage', `agreed ${Math.round(again)} ms after the reload that follows it`);
  }, 240_000);
});

const answerWith = (status: string, body: string, ...fields: readonly string[]) =>
  [`HTTP/1.1 ${status}`, ...fields, `content-length: ${Buffer.byteLength(body)}`, 'connection: close', '', body].join(
    '\r\n',
  );

const noKeySets = (own: object): readonly string[] => [
  answerWith('200 OK', '<p>garbage</p>'),
  answerWith('200 OK', ''),
  answerWith('200 OK', 'null'),
  answerWith('200 OK', '{"keys":"none"}'),
  answerWith('200 OK', JSON.stringify({ keys: [own], padding: 'x'.repeat(1024 * 1024) })),
  answerWith('200 OK', JSON.stringify({ keys: [own] }), 'content-encoding: gzip'),
  answerWith('302 Found', '', 'location: http://127.0.0.1:1/.well-known/jwks.json'),
  answerWith('500 Internal Server Error', '{"keys":[]}'),
  'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"keys":[',
  'garbage\r\n\r\n',
  '',
];

function uselessSets(own: object): readonly object[] {
  const { d, ...stranger } = newAgreementJwk('my-service');
  return [
    { keys: [] },
    { keys: [null, 1, 'key', [], {}] },
    { keys: [{ ...own, aud: 'another-service' }] },
    { keys: [{ ...own, x: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }] },
    { keys: [own, own] },
    { keys: [{ ...own, kid: stranger.kid }] },
    { keys: [{ ...stranger, d }] },
    { keys: [{ ...own, use: 'sig' }] },
  ];
}
