import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  eventually,
  freePorts,
  isInstalled,
  type RecordedRequest,
  type StartedProcess,
  startProcess,
} from '@countersign/testing';
import { afterEach, expect, test } from '@jest/globals';
import { type GatewayProcess, gatewayProcess, loadOn } from './gateway-process.ts';

const bin = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));
const page = resolve(import.meta.dirname, '../../docs/operations/workers.md');
const [, printed = ''] = /<!-- haproxy.cfg -->\n```\n(.*?)```/s.exec(readFileSync(page, 'utf8')) ?? [];
const [, origins = ''] = /<!-- gateway.yaml -->\n```yaml\n(.*?)```/s.exec(readFileSync(page, 'utf8')) ?? [];

let place: GatewayProcess;
const running: StartedProcess[] = [];
afterEach(async () => {
  await Promise.all(running.map((one) => one.stop('SIGKILL')));
  await place.close();
});

function answer({ target }: RecordedRequest, res: ServerResponse): void {
  if (target.endsWith('/events')) res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  else setTimeout(() => res.end('{}'), 20);
}

type Member = { admin: number; env: Readonly<Record<string, string>>; process?: StartedProcess };

async function start(member: Member): Promise<void> {
  member.process = startProcess({ args: [bin, 'serve', '--config', place.file], env: member.env });
  running.push(member.process);
  await eventually(async () => {
    const { status } = await fetch(`http://127.0.0.1:${member.admin}/readyz`);
    if (status !== 200) throw new Error(`/readyz answers ${status}:\n${member.process?.output()}`);
  }, 60_000);
}

/** Reads a stream, and reopens it whenever it ends, until `stop`. */
function follow(url: string, headers: Readonly<Record<string, string>>) {
  const ends: string[] = [];
  let isOver = false;
  let socket: IncomingMessage | undefined;
  const opened = Promise.withResolvers<void>();
  async function run(): Promise<void> {
    while (!isOver) {
      const [stream] = (await once(httpRequest(url, { headers }).end(), 'response')) as [IncomingMessage];
      socket = stream;
      opened.resolve();
      const text = await stream.toArray().then(
        (chunks) => Buffer.concat(chunks).toString(),
        (error: Error) => error.message,
      );
      if (!isOver) ends.push(`${stream.statusCode} ${text}`);
    }
  }
  const over = run();
  return {
    ends,
    opened: opened.promise,
    async stop() {
      isOver = true;
      socket?.destroy();
      await over;
    },
  };
}

(isInstalled('haproxy') ? test : test.skip)(
  'three gateways restart one after another behind HAProxy at 500 requests a second: no request fails, and streams reconnect',
  async () => {
    place = await gatewayProcess({ upstream: { answer } });
    const [bind = 0, ...ports] = await freePorts(10);
    const listen =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: variables of gateway.yaml
      'listen: { public: "127.0.0.1:${PUBLIC}", admin: "127.0.0.1:${ADMIN}", internal: "127.0.0.1:${INTERNAL}" }';
    expect(origins).toContain('publicOrigins');
    place.write(
      origins.replace('127.0.0.1:8000', `127.0.0.1:${bind}`) +
        place.yaml.replace(/^listen: .*$/m, listen).replaceAll(/^(?:publicOrigins|trustedProxies): .*\n/gm, ''),
    );
    const members = [0, 3, 6].map((at): Member => {
      const [PUBLIC, ADMIN, INTERNAL] = ports.slice(at, at + 3).map(String);
      return {
        admin: Number(ADMIN),
        env: { PUBLIC, ADMIN, INTERNAL, LOG_LEVEL: 'warn', DRAIN_DELAY_MS: '3000' } as Record<string, string>,
      };
    });
    const servers = members.map(({ env }) => `127.0.0.1:${env.PUBLIC} port ${env.ADMIN}`);
    const config = printed
      .replace('127.0.0.1:8000', `127.0.0.1:${bind}`)
      .replaceAll(/(?<=server \w )\S+ port \d+/g, () => servers.shift() ?? '');
    expect(servers).toEqual([]);
    const file = join(dirname(place.file), 'haproxy.cfg');
    writeFileSync(file, config);
    await Promise.all(members.map(start));
    const balancer = startProcess({ command: 'haproxy', args: ['-db', '-f', file] });
    running.push(balancer);
    const url = `http://127.0.0.1:${bind}`;
    await eventually(async () => expect((await fetch(`${url}/v1/open/1`)).status).toBe(200));

    const token = await place.issuer.accessToken();
    const streams = members.map(() => follow(`${url}/v1/things/events`, { authorization: `Bearer ${token}` }));
    await Promise.all(streams.map(({ opened }) => opened));
    const loads = [
      loadOn(url, { path: '/v1/things/1', perSecond: 450, token }),
      loadOn(url, { path: '/v1/things/1', perSecond: 50, token, method: 'POST' }),
    ];
    for (const load of loads) await eventually(() => expect(load.outcomes['200']).toBeGreaterThan(100));
    const before = place.upstream.requests.length;
    for (const member of members) {
      expect(await member.process?.stop()).toBe(0);
      await start(member);
    }
    await Promise.all(loads.map((load) => load.stop()));
    expect(loads.map(({ outcomes }) => Object.keys(outcomes))).toEqual([['200'], ['200']]);
    expect(place.upstream.requests.length).toBeGreaterThan(before + 3_000);
    // Each stream ended completely at least once, and was reopened at another gateway.
    await Promise.all(streams.map((stream) => stream.stop()));
    const ends = streams.flatMap((stream) => stream.ends);
    expect(ends.length).toBeGreaterThanOrEqual(3);
    expect(new Set(ends)).toEqual(new Set(['200 data: 1\n\n']));
  },
  180_000,
);
