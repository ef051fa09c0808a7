import { resolve } from 'node:path';
import { secretKeyid } from '@countersign/identity';
import type { GatewayConfig } from '../config/config.ts';
import { keyInUse } from '../keys/gateway-keys.ts';
import {
  createKey,
  hasGatewayKeys,
  type KeyKind,
  type ManagedKey,
  readAllKeys,
  removeKey,
  retireKey,
} from '../keys/key-files.ts';
import { type Command, configOption, loadNamed, text, UsageError, type Values } from './command.ts';
import { adminUrl, askIdentities } from './running-gateway.ts';
import type { Terminal } from './terminal.ts';

/** Services fetch the key set again after 10 minutes at most; this adds time to reach the gateway. */
const publishAheadSec = 15 * 60;
/** Signatures and txn-tokens live 60 s at most. Adds 5 s of clock difference and 5 s until gateways read the change. */
const runOutSec = 70;

export const keys: Command = {
  name: 'keys',
  usage: 'list | create | rotate | retire KEYID',
  summary: 'manage the keys that sign identity',
  options: [
    configOption,
    ['--dir DIRECTORY', 'the directory of the keys, instead of a configuration file'],
    ['--now', 'rotate: sign with the new key within 15 s; retire: remove the key at once'],
  ],
  run(terminal, values, [action, keyid, ...more]) {
    if (action === undefined) throw new UsageError('an action is missing: list, create, rotate or retire');
    if (more.length > 0 || (keyid !== undefined && action !== 'retire')) throw new UsageError('too many arguments');
    const directory = directoryOf(terminal, values);
    switch (action) {
      case 'list':
        return list(terminal, values, directory);
      case 'create':
        return create(terminal, directory, kindsFor(terminal, values));
      case 'rotate':
        return rotate(terminal, directory, values.now === true ? 0 : publishAheadSec);
      case 'retire':
        if (keyid === undefined) throw new UsageError('KEYID is missing; `countersign keys list` shows the keys');
        return values.now === true ? remove(terminal, directory, keyid) : retire(terminal, directory, keyid);
      default:
        throw new UsageError(`unknown action "${action}"; known: list, create, rotate, retire`);
    }
  },
};

function directoryOf(terminal: Terminal, values: Values): string {
  const directory = text(values.dir);
  return directory === undefined ? loadNamed(terminal, values, []).identity.keysDir : resolve(directory);
}

async function list(terminal: Terminal, values: Values, directory: string): Promise<number> {
  const nowSec = nowSecOf(terminal);
  const all = readAllKeys(directory);
  for (const key of all) terminal.out(`${key.kid}  ${key.kind}  ${stateOf(key, all, nowSec)}`);
  if (text(values.dir) !== undefined) return 0;
  const config = loadNamed(terminal, values, []);
  for (const { name, identity } of config.upstreams.values()) {
    if (identity.algorithm !== 'hmac-sha256') continue;
    terminal.out(`${secretKeyid(identity.secret)}  hmac-sha256  ${name}, signs`);
    if (identity.next !== undefined) terminal.out(`${secretKeyid(identity.next)}  hmac-sha256  ${name}, next`);
  }
  await listAgreed(terminal, config);
  return 0;
}

/** Shows which pairs of keys are in use. Only the running gateway knows the keys of the services. */
async function listAgreed(terminal: Terminal, config: GatewayConfig): Promise<void> {
  const agreed = [...config.upstreams.values()].filter(({ identity }) => identity.algorithm === 'agreed');
  if (agreed.length === 0) return;
  const identities = await askIdentities(config);
  for (const { name } of agreed) {
    const now = identities?.get(name);
    if (now === undefined) terminal.out(`-  agreed  ${name}, unknown: no gateway answers at ${adminUrl(config)}`);
    else if (now.uses === 'agreed') terminal.out(`${now.keyid}  agreed  ${name}, in use`);
    else
      terminal.out(
        `${now.keyid ?? '-'}  agreed  ${name}, ${now.uses} is used: ${now.fallback ?? 'no reason is given'}`,
      );
  }
}

/** The kinds that a gateway needs: x25519 only for upstreams with `algorithm: agreed`. Without a file, that is not known. */
function kindsFor(terminal: Terminal, values: Values): readonly KeyKind[] {
  if (text(values.dir) !== undefined) return ['ed25519', 'x25519'];
  const { upstreams } = loadNamed(terminal, values, []);
  const agrees = [...upstreams.values()].some(({ identity }) => identity.algorithm === 'agreed');
  return agrees ? ['ed25519', 'x25519'] : ['ed25519'];
}

function create(terminal: Terminal, directory: string, wanted: readonly KeyKind[]): number {
  const nowSec = nowSecOf(terminal);
  const existing = hasGatewayKeys(directory) ? readAllKeys(directory).map(({ kind }) => kind) : [];
  const missing = wanted.filter((kind) => !existing.includes(kind));
  if (missing.length === 0) {
    terminal.err(`${directory} has keys already. To replace them: countersign keys rotate`);
    return 1;
  }
  for (const kind of missing) {
    if (existing.length === 0) terminal.out(`${createKey(kind, directory, nowSec)}  ${useOf[kind].now} from now on`);
    // Services know the other keys of this directory, but not this one.
    else publish(terminal, kind, directory, nowSec + publishAheadSec);
  }
  return 0;
}

function rotate(terminal: Terminal, directory: string, aheadSec: number): number {
  const kinds = new Set(readAllKeys(directory).map(({ kind }) => kind));
  const nowSec = nowSecOf(terminal);
  for (const kind of kinds) {
    if (aheadSec > 0) publish(terminal, kind, directory, nowSec + aheadSec);
    else terminal.out(`${createKey(kind, directory, nowSec)}  published within 5 s, ${useOf[kind].now} within 15 s`);
  }
  if (aheadSec === 0) terminal.err('services fetch the new key when it first signs: use --now in emergencies only');
  return 0;
}

function publish(terminal: Terminal, kind: KeyKind, directory: string, fromSec: number): void {
  terminal.out(`${createKey(kind, directory, fromSec)}  published now, ${useOf[kind].now} from ${time(fromSec)}`);
}

function retire(terminal: Terminal, directory: string, keyid: string): number {
  const nowSec = nowSecOf(terminal);
  const all = readAllKeys(directory);
  const key = named(all, keyid);
  if (successorOf(key, all, nowSec) === undefined) return refuseLast(terminal, key);
  if (inUse(all, key.kind, nowSec) === key) {
    const { now } = useOf[key.kind];
    terminal.err(`${keyid} ${now} now. First: countersign keys rotate, then wait until the new key ${now}`);
    return 1;
  }
  const endSec = nowSec + runOutSec;
  retireKey(directory, key, endSec);
  terminal.out(`${keyid}  accepted until ${time(endSec)}, then removed`);
  return 0;
}

function remove(terminal: Terminal, directory: string, keyid: string): number {
  const all = readAllKeys(directory);
  const key = named(all, keyid);
  if (successorOf(key, all, nowSecOf(terminal)) === undefined) return refuseLast(terminal, key);
  removeKey(directory, key);
  terminal.out(
    `${keyid}  removed. If it was stolen, wait 15 s and restart the services: they keep key sets for up to 10 minutes`,
  );
  return 0;
}

/** The key of its kind that the gateway would use without it. */
function successorOf(key: ManagedKey, all: readonly ManagedKey[], nowSec: number): ManagedKey | undefined {
  const others = all.filter((other) => other !== key);
  return inUse(others, key.kind, nowSec);
}

const inUse = (keys: readonly ManagedKey[], kind: KeyKind, nowSec: number): ManagedKey | undefined =>
  keyInUse(
    keys.filter((key) => key.kind === kind),
    nowSec,
  );

const useOf = {
  ed25519: { now: 'signs', may: 'sign' },
  x25519: { now: 'agrees with services', may: 'agree with services' },
} as const satisfies Record<KeyKind, unknown>;

function refuseLast(terminal: Terminal, { kid, kind }: ManagedKey): number {
  terminal.err(`${kid} is the only key that may ${useOf[kind].may} now. First: countersign keys rotate --now`);
  return 1;
}

function named(all: readonly ManagedKey[], keyid: string): ManagedKey {
  const key = all.find(({ kid }) => kid === keyid);
  if (key === undefined) throw new UsageError(`unknown key ${keyid}`);
  return key;
}

function stateOf(key: ManagedKey, all: readonly ManagedKey[], nowSec: number): string {
  const { now } = useOf[key.kind];
  if (key === inUse(all, key.kind, nowSec)) return now;
  if (key.notBeforeSec > nowSec) return `published, ${now} from ${time(key.notBeforeSec)}`;
  if (key.expiresSec === undefined) return `published, a newer key ${now}: can be retired`;
  return key.expiresSec > nowSec ? `published until ${time(key.expiresSec)}` : `ended ${time(key.expiresSec)}`;
}

const nowSecOf = (terminal: Terminal) => Math.floor(terminal.nowMs() / 1000);

const time = (sec: number) => new Date(sec * 1000).toISOString().replace('.000Z', 'Z');
