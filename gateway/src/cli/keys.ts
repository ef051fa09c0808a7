import { basename, resolve } from 'node:path';
import { secretKeyid } from '@countersign/identity';
import { z } from 'zod';
import type { GatewayConfig } from '../config/config.ts';
import { keyInUse } from '../keys/key-directory.ts';
import * as keyFiles from '../keys/key-files.ts';
import { type Command, configOption, loadNamed, type Terminal, text, UsageError } from './command.ts';

/** Services fetch the key set again after at most 10 minutes. The rest is time for changes to reach the gateway. */
export const publishAheadSec = 15 * 60;
/**
 * Signatures and txn-tokens are valid for at most 60 s. Clocks may differ by 5 s, and gateways need up to 5 s to read
 * the change.
 */
export const runOutSec = 70;

export const keys: Command = {
  name: 'keys',
  usage: 'list | create | rotate | retire KEYID',
  summary: 'manage the keys that sign identity',
  options: [
    configOption,
    ['--dir DIRECTORY', 'the key directory, instead of a configuration file'],
    ['--algorithm NAME', 'with create, the kind of key: ed25519, x25519, or ES256 for identity tokens'],
    ['--to-stdout', 'with rotate, print a Kubernetes Secret that also contains the next key, and change no files'],
    ['--now', 'with rotate, sign with the new key within 15 s; with retire, remove the key immediately'],
  ],
  run(terminal, values, [action, keyid, ...more]) {
    if (action === undefined) throw new UsageError('name an action: list, create, rotate or retire');
    if (more.length > 0 || (keyid !== undefined && action !== 'retire')) throw new UsageError('too many arguments');
    const dir = text(values.dir);
    const config = dir === undefined ? loadNamed(terminal, values) : undefined;
    const directory = config?.identity.keysDir ?? resolve(dir ?? '');
    const nowSec = Math.floor(terminal.nowMs() / 1000);
    const act = Object.hasOwn(actions, action) ? actions[action as keyof typeof actions] : undefined;
    if (act === undefined)
      throw new UsageError(`unknown action "${action}"; known: ${Object.keys(actions).join(', ')}`);
    const isToStdout = values['to-stdout'] === true;
    if (isToStdout && action !== 'rotate') throw new UsageError('--to-stdout works only with rotate');
    const access = config?.identity.keyFiles ?? 'group';
    const kind = kindOf(text(values.algorithm), action);
    return act({ terminal, config, directory, access, isNow: values.now === true, isToStdout, nowSec, keyid, kind });
  },
};

type Asked = Readonly<{
  terminal: Terminal;
  config: GatewayConfig | undefined;
  directory: string;
  access: keyFiles.KeyFileAccess;
  isNow: boolean;
  isToStdout: boolean;
  nowSec: number;
  keyid: string | undefined;
  /** The kind to create. Undefined: every kind that the configuration needs. */
  kind: keyFiles.KeyKind | undefined;
}>;

function kindOf(algorithm: string | undefined, action: string): keyFiles.KeyKind | undefined {
  if (algorithm === undefined) return undefined;
  if (action !== 'create') throw new UsageError('--algorithm works only with create');
  const kind = algorithm.toLowerCase();
  if (Object.hasOwn(useOf, kind)) return kind as keyFiles.KeyKind;
  throw new UsageError(`unknown algorithm "${algorithm}"; known: ed25519, x25519, ES256`);
}

const actions = { list, create, rotate, retire } as const;

async function list({ terminal, config, directory, access, nowSec }: Asked): Promise<number> {
  const all = keyFiles.readAllKeys(directory, access);
  for (const key of all) terminal.out(`${key.kid}  ${key.kind}  ${stateOf(key, all, nowSec)}`);
  if (config === undefined) return 0;
  for (const { name, identity } of config.upstreams.values()) {
    if (identity.algorithm !== 'hmac-sha256') continue;
    terminal.out(`${secretKeyid(identity.secret)}  hmac-sha256  ${name}, signs`);
    if (identity.next !== undefined) terminal.out(`${secretKeyid(identity.next)}  hmac-sha256  ${name}, next`);
  }
  const agreed = agreedUpstreams(config);
  // Only the running gateway knows the services' keys.
  const identities = agreed.length > 0 ? await askIdentities(config) : undefined;
  for (const { name } of agreed) {
    const now = identities?.get(name);
    if (now === undefined) terminal.out(`-  agreed  ${name}, unknown: no gateway answers at ${adminUrl(config)}`);
    else if (now.uses === 'agreed') terminal.out(`${now.keyid}  agreed  ${name}, in use`);
    else {
      const why = now.fallback ?? 'no reason is given';
      terminal.out(`${now.keyid ?? '-'}  agreed  ${name}, ${now.uses} is used: ${why}`);
    }
  }
  return 0;
}

const agreedUpstreams = ({ upstreams }: GatewayConfig) =>
  [...upstreams.values()].filter(({ identity }) => identity.algorithm === 'agreed');

/** Without a configuration file, it is unknown which upstreams need x25519. */
function neededBy(config: GatewayConfig | undefined): readonly keyFiles.KeyKind[] {
  const tokens = config !== undefined && [...config.upstreams.values()].some(({ identity }) => identity.token);
  return [
    'ed25519',
    ...(config === undefined || agreedUpstreams(config).length > 0 ? (['x25519'] as const) : []),
    ...(tokens ? (['es256'] as const) : []),
  ];
}

function create({ terminal, config, directory, access, nowSec, kind: asked }: Asked): number {
  const wanted = asked === undefined ? neededBy(config) : [asked];
  const existing = keyFiles.hasGatewayKeys(directory)
    ? keyFiles.readAllKeys(directory, access).map(({ kind }) => kind)
    : [];
  const missing = wanted.filter((kind) => !existing.includes(kind));
  if (missing.length === 0) {
    terminal.err(`${directory} already has keys. To replace them, run countersign keys rotate`);
    return 1;
  }
  for (const kind of missing) {
    if (existing.length === 0 || kind === 'es256')
      terminal.out(`${keyFiles.createKey(kind, directory, nowSec)}  ${useOf[kind].now} from now on`);
    // Services have already cached the other keys in this directory, but not this one.
    else publish(terminal, kind, directory, nowSec + publishAheadSec);
  }
  return 0;
}

function rotate({ terminal, directory, access, isNow, isToStdout, nowSec }: Asked): number {
  const all = keyFiles.readAllKeys(directory, access);
  const kinds = new Set(all.map((key) => key.kind));
  if (isToStdout) {
    const fromSec = isNow ? nowSec : nowSec + publishAheadSec;
    const kept = all.filter((key) => isNeeded(key, all, nowSec)).map((key) => keyFiles.keyFileOf(directory, key));
    const added = [...kinds].map((kind) => keyFiles.newKeyFile(kind, fromSec));
    for (const line of secretLines(basename(directory), [...kept, ...added])) terminal.out(line);
    for (const { kid } of added) terminal.err(`${kid}  used from ${time(fromSec)}, so apply this Secret before then`);
    return 0;
  }
  for (const kind of kinds) {
    if (isNow)
      terminal.out(
        `${keyFiles.createKey(kind, directory, nowSec)}  published within 5 s, ${useOf[kind].now} within 15 s`,
      );
    else publish(terminal, kind, directory, nowSec + publishAheadSec);
  }
  if (isNow)
    terminal.err('services fetch the new key only after it has signed a request: use --now only in emergencies');
  return 0;
}

/** Whether the gateway may still receive or send requests that this key signs. */
function isNeeded(key: keyFiles.ManagedKey, all: readonly keyFiles.ManagedKey[], nowSec: number): boolean {
  const newerSec = inUse(all, key.kind, nowSec)?.notBeforeSec ?? 0;
  const endSec = Math.min(key.expiresSec ?? Infinity, key.notBeforeSec < newerSec ? newerSec : Infinity);
  return nowSec < endSec + runOutSec;
}

const secretLines = (name: string, files: readonly keyFiles.KeyFile[]): readonly string[] => [
  'apiVersion: v1',
  'kind: Secret',
  `metadata: { name: ${name} }`,
  'type: Opaque',
  'data:',
  ...files.map((file) => `  ${file.name}: ${Buffer.from(file.text).toString('base64')}`),
];

function publish(terminal: Terminal, kind: keyFiles.KeyKind, directory: string, fromSec: number): void {
  terminal.out(
    `${keyFiles.createKey(kind, directory, fromSec)}  published now, ${useOf[kind].now} from ${time(fromSec)}`,
  );
}

function retire({ terminal, directory, access, isNow, nowSec, keyid }: Asked): number {
  if (keyid === undefined) throw new UsageError('name the key to retire; `countersign keys list` shows the keys');
  const all = keyFiles.readAllKeys(directory, access);
  const key = all.find(({ kid }) => kid === keyid);
  if (key === undefined) throw new UsageError(`unknown key ${keyid}`);
  const { now, may } = useOf[key.kind];
  const others = all.filter((other) => other !== key);
  if (inUse(others, key.kind, nowSec) === undefined) {
    terminal.err(`${keyid} is the only key that may ${may} now. First run countersign keys rotate --now`);
    return 1;
  }
  if (isNow) {
    keyFiles.removeKey(directory, key);
    terminal.out(
      `${keyid}  removed. If it was stolen, wait 15 s and restart the services: they keep key sets for up to 10 minutes`,
    );
    return 0;
  }
  if (inUse(all, key.kind, nowSec) === key) {
    terminal.err(`${keyid} ${now} now. First run countersign keys rotate, then wait until the new key ${now}`);
    return 1;
  }
  const endSec = nowSec + runOutSec;
  keyFiles.retireKey(directory, key, endSec);
  terminal.out(`${keyid}  accepted until ${time(endSec)}, then removed`);
  return 0;
}

const inUse = (keys: readonly keyFiles.ManagedKey[], kind: keyFiles.KeyKind, nowSec: number) =>
  keyInUse(
    keys.filter((key) => key.kind === kind),
    nowSec,
  );

const useOf = {
  ed25519: { now: 'signs', may: 'sign' },
  x25519: { now: 'agrees with services', may: 'agree with services' },
  es256: { now: 'signs identity tokens', may: 'sign identity tokens' },
} as const satisfies Record<keyFiles.KeyKind, unknown>;

function stateOf(key: keyFiles.ManagedKey, all: readonly keyFiles.ManagedKey[], nowSec: number): string {
  const { now } = useOf[key.kind];
  if (key === inUse(all, key.kind, nowSec)) return now;
  if (key.notBeforeSec > nowSec) return `published, ${now} from ${time(key.notBeforeSec)}`;
  if (key.expiresSec === undefined) return `published, a newer key ${now}: can be retired`;
  return key.expiresSec > nowSec ? `published until ${time(key.expiresSec)}` : `ended ${time(key.expiresSec)}`;
}

const time = (sec: number) => new Date(sec * 1000).toISOString().replace('.000Z', 'Z');

const identity = z.object({ uses: z.string(), keyid: z.string().nullish(), fallback: z.string().nullish() });
const upstreams = z.object({ upstreams: z.array(z.object({ name: z.string(), identity })) });

const timeoutMs = 2_000;

export const adminUrl = ({ listen: { admin } }: GatewayConfig): string =>
  `http://${admin.host.includes(':') ? `[${admin.host}]` : admin.host}:${admin.port}`;

/** @returns How the running gateway signs for each upstream, by name. Undefined if no gateway answers. */
export async function askIdentities(config: GatewayConfig) {
  try {
    const response = await fetch(`${adminUrl(config)}/upstreams`, { signal: AbortSignal.timeout(timeoutMs) });
    const parsed = upstreams.parse(await response.json());
    return new Map(parsed.upstreams.map(({ name, identity }) => [name, identity]));
  } catch {
    // No gateway is running, or another program uses the port.
    return undefined;
  }
}
