import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  eventually,
  isInstalled,
  mintIssuer,
  type RecordingUpstream,
  recordingUpstream,
  testAuthority,
  throwAwayRedis,
} from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type EventGateway, eventWorld } from '../../../gateway/test/event-gateway.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';
import { agreedService } from '../../../gateway/test/kit/agreed-service.ts';
import { type RealPrometheus, realPrometheus } from '../../ship/prometheus/real-prometheus.ts';
import { steadyLoad } from '../../stacks/steady-load.ts';

const dayMs = 86_400_000;
const MiB = 1024 * 1024;
const upstreams = ['down', 'retried', 'keyless', 'refusing', 'unagreed'] as const;
const routes = `
  - { name: things, path: /things, methods: [GET, POST], upstream: things, auth: required }
  - { name: open, path: /open, methods: [POST], upstream: things, auth: public }
${upstreams.map((name) => `  - { name: ${name}, path: /${name}, methods: [GET], upstream: ${name}, auth: public }`).join('\n')}`;

/** The alerts after the first faults, with the upstream or error code that they are about. */
const afterFaults = [
  'gateway UnknownKeys token_key_unknown',
  'gateway ConfigurationRefused',
  ...['down', 'retried', 'retried', 'keyless', 'refusing'].map((name) => `gateway TargetUnhealthy ${name}`),
  'gateway BreakerOpen down',
  'gateway RetriesOverBudget retried',
  'gateway TlsFilesStale sealed',
  'secure CertificateExpires',
  'gateway AgreedKeysUnused unagreed',
  'gateway ConfigurationFault identity_refused',
  'gateway IdentityUnavailable identity_unavailable',
  'gateway BodyMemoryFull body_memory_full',
  'gateway RedisDown',
  'events RedisDown',
  'events EventsUnavailable',
  'events InternalFault events_unavailable',
];
/** The alerts after a day without the issuer. */
const afterADay = [
  'gateway KeySetOld',
  'gateway NoKeys',
  'gateway RevocationsStale',
  'gateway InternalFault issuer_keys_unavailable',
];

(isInstalled('prometheus') && isInstalled('redis-server') ? describe : describe.skip)(
  'alerts of a real Prometheus',
  () => {
    const closing: (() => unknown)[] = [];
    const opened = <T>(value: T, close: (value: T) => unknown): T => {
      closing.push(() => close(value));
      return value;
    };
    afterAll(async () => {
      for (const close of closing.reverse()) await close();
    });
    const home = opened(mkdtempSync(join(tmpdir(), 'countersign-alerts-')), (path) =>
      rmSync(path, { recursive: true }),
    );
    const write = (name: string, text: string) => {
      writeFileSync(join(home, name), text);
      return join(home, name);
    };
    const authority = testAuthority('an authority', 400 * dayMs);
    const writeCertificate = (validMs: number) => {
      const { cert, key } = authority.issue(['gateway.test'], validMs);
      write('tls.key', key);
      write('tls.pem', cert);
    };

    let redis: Awaited<ReturnType<typeof throwAwayRedis>>;
    let instances: readonly RecordingUpstream[];
    let gateway: GatewayUnderTest;
    let world: Awaited<ReturnType<typeof eventWorld>>;
    let events: EventGateway;
    let prometheus: RealPrometheus;
    /** How far the clock of the key set is ahead. */
    let aheadMs = 0;

    beforeAll(async () => {
      redis = opened(await throwAwayRedis(), (server) => server.kill());
      const [one, two] = [await recordingUpstream(), await recordingUpstream()];
      instances = [one, two];
      const [keyless, refusing, unagreed] = [
        opened(await agreedService('keyless'), (service) => service.close()),
        opened(await agreedService('refusing'), (service) => service.close()),
        opened(await agreedService('unagreed'), (service) => service.close()),
      ];
      const breaker = 'breaker: { failureRate: 0.5, minimum: 5, window: 10s, cooldown: 1s }';
      const more = `upstreams:
  down: { targets: ["${one.url}"], ${breaker} }
  retried: { targets: ["${one.url}", "${two.url}"], retry: { attempts: 1 } }
  keyless: { targets: ["${keyless.url}"] }
  refusing: { targets: ["${refusing.url}"] }
  unagreed: { targets: ["${unagreed.url}"], identity: { algorithm: agreed } }
  sealed: { targets: ["https://127.0.0.1:1"], tls: { ca: "${write('ca.pem', authority.ca)}" } }`;
      gateway = opened(
        await gatewayUnderTest({
          routes,
          redis: redis.url,
          hasAgreementKey: true,
          keySets: { nowMs: () => performance.now() + aheadMs },
          edits: [
            ['upstreams:', more],
            ['maxStaleness: 30s', 'maxStaleness: 5s'],
            ['trustedProxies: []', 'uploads: { maxBuffered: 2MiB, maxBufferedPerAddress: 1MiB }'],
          ],
        }),
        (one) => one.close(),
      );
      writeCertificate(90 * dayMs);
      const secure = opened(
        await gatewayUnderTest({
          edits: [
            ['listen: {', `listen: { tls: { cert: "${home}/tls.pem", key: "${home}/tls.key" },`],
            ['http://gateway.test', 'https://gateway.test'],
          ],
          reloadTiming: { checkEveryMs: 500 },
        }),
        (one) => one.close(),
      );
      world = opened(await eventWorld(), (one) => one.close());
      const received = '{ audience: orders-events, backchannelLogout: true, maxStaleness: 10m }';
      events = await world.start({ redis: redis.url, events: received });
      const keysOf = ({ running }: GatewayUnderTest) =>
        `http://127.0.0.1:${running.ports.internal}/.well-known/jwks.json`;
      await Promise.all([
        keyless.trust('http://127.0.0.1:9/.well-known/jwks.json'),
        refusing.trust(keysOf(secure)),
        unagreed.trust(keysOf(gateway)),
      ]);
      const ports = {
        gateway: gateway.running.ports.admin,
        secure: secure.running.ports.admin,
        events: events.running.ports.admin,
      };
      prometheus = opened(await realPrometheus(ports), (server) => server.close());
    }, 60_000);

    /** Every alert that was in this state at some time, with its job and its subject. */
    const alertsThatWere = async (states: string) => {
      const found = await prometheus.query(`max_over_time(ALERTS{alertstate=~"${states}"}[10m])`);
      return found
        .map(({ metric: { alertname = '', job = '', upstream = '', code = '' } }) =>
          [job, alertname.replace('Countersign', ''), upstream, code].filter(Boolean).join(' '),
        )
        .sort();
    };
    const fire = (expected: readonly string[]) =>
      eventually(async () => expect(await alertsThatWere('firing')).toEqual([...expected].sort()), 60_000);

    test('no alert fires while only clients make mistakes, and each fires after its fault', async () => {
      const { issuer } = gateway;
      const token = await issuer.accessToken();
      const wrong = await issuer.accessToken({ aud: 'another' });
      const ask = async (path: string, options?: Parameters<typeof gateway.ask>[1]) =>
        String((await gateway.ask(path, options)).status);
      const load = (asking: () => Promise<string>) => opened(steadyLoad(4, asking), (one) => one.stop());
      const healthy = load(() => ask('/things', { token }));
      const mistaken = load(() => ask('/things', { token: wrong }));
      await eventually(async () => {
        const [least] = await prometheus.query('min(count_over_time(countersign_config_info[1m]))');
        expect(Number(least?.value[1])).toBeGreaterThanOrEqual(4);
      }, 60_000);
      await mistaken.stop();
      expect(new Set([...healthy.outcomes, ...mistaken.outcomes].map(({ result }) => result))).toEqual(
        new Set(['200', '401']),
      );
      expect(await alertsThatWere('pending|firing')).toEqual([]);

      const stranger = await (await mintIssuer()).accessToken({}, { kid: 'never-published' });
      load(async () => {
        await Promise.all([...upstreams.map((name) => ask(`/${name}`)), ask('/things', { token: stranger })]);
        return 'asked';
      });
      for (const instance of instances) await instance.close();
      await redis.kill();
      expect((await events.logOut(await world.logoutToken())).status).toBe(503);
      write('ca.pem', 'no certificate');
      writeCertificate(5 * dayMs);
      writeFileSync(gateway.file, 'version: 2');
      expect((await gateway.running.reload()).refused).toBeDefined();
      const slow = ['127.0.0.2', '127.0.0.3'].map((address) => holdBody(gateway.port, address));
      await eventually(async () =>
        expect(await (await gateway.admin('/metrics')).text()).toContain(
          `countersign_buffered_body_bytes ${2 * MiB}\n`,
        ),
      );
      expect(await ask('/open', { method: 'POST', body: Buffer.alloc(100) })).toBe('503');
      for (const socket of slow) socket.destroy();
      await fire(afterFaults);

      gateway.issuerServer.setHealthy(false);
      aheadMs = dayMs + 1;
      await fire([...afterFaults, ...afterADay]);
    }, 180_000);
  },
);

/** Sends all but the last byte of a body, so that the gateway holds it. */
function holdBody(port: number, localAddress: string): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => socket.destroy());
  socket.write(`POST /open HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: ${MiB}\r\n\r\n`);
  socket.write(Buffer.alloc(MiB - 1));
  return socket;
}
