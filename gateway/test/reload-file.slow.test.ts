// biome-ignore-all lint/suspicious/noTemplateCurlyInString: gateway.yaml writes variables like this
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { eventually, type StartedProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { gatewayProcess } from './gateway-process.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

test.each<[string, string[], (running: StartedProcess) => void]>([
  ['a change', [], () => {}],
  ['a change with two workers', ['--workers', '2'], () => {}],
  ['SIGHUP', [], ({ pid }) => process.kill(pid, 'SIGHUP')],
])(
  '%s right after startup takes effect within a second',
  async (_how, args, then) => {
    const gateway = await gatewayProcess();
    try {
      const running = await gateway.start(...args);
      const changedAt = performance.now();
      gateway.write(gateway.yaml.replace('auth: public', 'auth: required'));
      then(running);
      await eventually(async () => {
        // Each connection can go to another worker.
        const answers = await Promise.all(
          Array.from({ length: 8 }, () => fetch(`${gateway.url}/v1/open/1`, { headers: { connection: 'close' } })),
        );
        expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(401));
      });
      expect(performance.now() - changedAt).toBeLessThan(1_000);
    } finally {
      await gateway.close();
    }
  },
  30_000,
);

const isOpen = 'upstream: things, auth: public, forward';
const isClosed = 'upstream: things, auth: required, forward';

describe("the configuration's file", () => {
  let gateway: GatewayUnderTest;
  let home: string;
  let closed: string;
  beforeEach(async () => {
    gateway = await gatewayUnderTest({ reloadTiming: { checkEveryMs: 20, retryEveryMs: 50 } });
    home = dirname(gateway.file);
    closed = gateway.yaml.replace(isOpen, isClosed);
    expect(closed).not.toBe(gateway.yaml);
  });
  afterEach(() => gateway.close());

  const status = async () => (await gateway.ask('/v1/open/1')).status;
  const config = async () => (await (await gateway.admin('/config')).json()) as Record<string, unknown>;
  const metric = async (name: string) => {
    const text = await (await gateway.admin('/metrics')).text();
    return text
      .split('\n')
      .find((line) => line.startsWith(name))
      ?.slice(name.length + 1);
  };
  const refusals = () => gateway.log.lines().filter(({ msg }) => msg === 'configuration refused');

  /** Replaces the file by a link to `..data/gateway.yaml`, as in a Kubernetes volume. */
  function asConfigMap(): (text: string) => void {
    let count = 0;
    const swap = (text: string) => {
      count += 1;
      mkdirSync(join(home, `..${count}`));
      writeFileSync(join(home, `..${count}`, 'gateway.yaml'), text);
      symlinkSync(`..${count}`, join(home, '..data_tmp'));
      renameSync(join(home, '..data_tmp'), join(home, '..data'));
    };
    swap(gateway.yaml);
    symlinkSync('..data/gateway.yaml', join(home, 'link'));
    renameSync(join(home, 'link'), gateway.file);
    return swap;
  }

  test.each<[string, () => (text: string) => void]>([
    ['is written in place', () => (text) => writeFileSync(gateway.file, text)],
    [
      'is renamed over',
      () => (text) => {
        writeFileSync(join(home, '.gateway.yaml.swp'), text);
        renameSync(join(home, '.gateway.yaml.swp'), gateway.file);
      },
    ],
    [
      'is removed and created again',
      () => (text) => {
        unlinkSync(gateway.file);
        writeFileSync(gateway.file, text);
      },
    ],
    ['is in a ConfigMap whose link changes', asConfigMap],
    [
      'is in a directory that is replaced',
      () => {
        mkdirSync(join(home, 'release'));
        writeFileSync(join(home, 'release', 'gateway.yaml'), gateway.yaml);
        symlinkSync('release/gateway.yaml', join(home, 'link'));
        renameSync(join(home, 'link'), gateway.file);
        return (text) => {
          mkdirSync(join(home, 'next'));
          writeFileSync(join(home, 'next', 'gateway.yaml'), text);
          renameSync(join(home, 'release'), join(home, 'before'));
          renameSync(join(home, 'next'), join(home, 'release'));
        };
      },
    ],
  ])('is reloaded when it %s', async (_how, prepare) => {
    const write = prepare();
    expect(await status()).toBe(200);
    write(closed);
    await eventually(async () => expect(await status()).toBe(401));
    expect(await metric('countersign_config_reloads_total{result="applied"}')).toBe('1');
    expect(refusals()).toEqual([]);
  });

  test('changes nothing when it is bad, and log, metrics and /config report it', async () => {
    const { hash } = await config();
    const bad = closed.replace('auth: optional', 'auth: maybe').replace('trustedProxies: []', 'trustedProxy: []');
    writeFileSync(gateway.file, bad);
    await eventually(async () => expect(await metric('countersign_config_last_reload_successful')).toBe('0'));
    const problems = [
      expect.stringMatching(/gateway\.yaml:5:1: unknown key "trustedProxy"; did you mean "trustedProxies"\?/),
      expect.stringMatching(/gateway\.yaml:\d+:\d+: routes\[4\]\.auth: must be one of "required"/),
    ];
    expect(await config()).toMatchObject({
      hash,
      refused: { hash: expect.not.stringContaining(String(hash)), problems },
    });
    expect(refusals().map(({ problem }) => problem)).toEqual(problems);
    expect(await metric(`countersign_config_info{hash="${hash}"}`)).toBe('1');
    expect(await metric('countersign_config_reloads_total{result="refused"}')).toBe('1');
    expect(await status()).toBe(200);

    writeFileSync(gateway.file, closed);
    await eventually(async () => expect(await status()).toBe(401));
    expect(await config()).toMatchObject({ hash: expect.not.stringContaining(String(hash)), refused: null });
    expect(await metric('countersign_config_last_reload_successful')).toBe('1');
  });

  test('changes nothing when it is missing', async () => {
    rmSync(gateway.file);
    await eventually(async () => expect(await config()).toMatchObject({ refused: { hash: null } }));
    expect(refusals()).toEqual([
      expect.objectContaining({ problem: expect.stringMatching(/cannot be read \(ENOENT\)/) }),
    ]);
    expect(await status()).toBe(200);
  });

  test.each([
    [
      'public: "127.0.0.1:0"',
      'public: "127.0.0.1:1"',
      /gateway\.yaml:3:\d+: listen\.public: cannot change while the gateway runs/,
    ],
    [
      'redis: "${REDIS_URL:-}"',
      'redis: "redis://127.0.0.1:1"',
      /gateway\.yaml:6:8: redis: cannot change while the gateway runs/,
    ],
  ])('is refused when a change needs a restart: %s to %s', async (from, to, problem) => {
    writeFileSync(gateway.file, closed.replace(from, to));
    await eventually(() =>
      expect(refusals()).toEqual([expect.objectContaining({ problem: expect.stringMatching(problem) })]),
    );
    expect(await status()).toBe(200);
  });

  test('is applied when a missing secret file appears, and again when it changes', async () => {
    const hashed = 'secret: "${HASHED_SECRET}"';
    expect(closed).toContain(hashed);
    writeFileSync(gateway.file, closed.replace(hashed, 'secretFile: secret'));
    await eventually(() => expect(refusals()).toHaveLength(1));
    const secret = join(home, 'secret');
    writeFileSync(secret, 'a-secret-of-thirty-two-bytes-or-more\n');
    await eventually(async () => expect(await status()).toBe(401));
    writeFileSync(secret, 'another-secret-of-thirty-two-bytes-or-more\n');
    await eventually(async () => expect(await metric('countersign_config_reloads_total{result="applied"}')).toBe('2'));
    expect(refusals()).toHaveLength(1);
  });

  test('is not read while it is being written', async () => {
    // Every piece is valid YAML, and the first ones are even a valid configuration.
    const lines = closed.split('\n');
    for (let end = lines.length - 6; end <= lines.length; end += 1)
      writeFileSync(gateway.file, lines.slice(0, end).join('\n'));
    await eventually(async () => expect(await status()).toBe(401));
    expect(await metric('countersign_config_reloads_total{result="applied"}')).toBe('1');
    expect(refusals()).toEqual([]);
  });
});
