import { resolve } from 'node:path';
import { secretKeyid } from '@countersign/identity';
import {
  createGatewayKey,
  type GatewayKey,
  hasGatewayKeys,
  readKeys,
  removeGatewayKey,
  retireGatewayKey,
} from '../keys/gateway-keys.ts';
import { type Command, configOption, loadNamed, text, UsageError, type Values } from './command.ts';
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
    configOption.help,
    ['--dir DIRECTORY', 'the directory of the keys, instead of a configuration file'],
    ['--now', 'rotate: sign with the new key at once; retire: remove the key at once'],
  ],
  parse: { ...configOption.parse, dir: { type: 'string' }, now: { type: 'boolean' } },
  run(terminal, values, [action, keyid, ...more]) {
    if (action === undefined) throw new UsageError('an action is missing: list, create, rotate or retire');
    if (more.length > 0 || (keyid !== undefined && action !== 'retire')) throw new UsageError('too many arguments');
    const directory = directoryOf(terminal, values);
    switch (action) {
      case 'list':
        return list(terminal, values, directory);
      case 'create':
        return create(terminal, directory);
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

function list(terminal: Terminal, values: Values, directory: string): number {
  const nowSec = nowSecOf(terminal);
  const all = readKeys(directory);
  const signing = signingKey(all, nowSec);
  for (const key of all) terminal.out(`${key.keyid}  ed25519  ${stateOf(key, signing, nowSec)}`);
  if (text(values.dir) !== undefined) return 0;
  for (const { name, identity } of loadNamed(terminal, values, []).upstreams.values()) {
    if (identity.algorithm !== 'hmac-sha256') continue;
    terminal.out(`${secretKeyid(identity.secret)}  hmac-sha256  ${name}, signs`);
    if (identity.next !== undefined) terminal.out(`${secretKeyid(identity.next)}  hmac-sha256  ${name}, next`);
  }
  return 0;
}

function create(terminal: Terminal, directory: string): number {
  if (hasGatewayKeys(directory)) {
    terminal.err(`${directory} has keys already. To replace them: countersign keys rotate`);
    return 1;
  }
  terminal.out(`${createGatewayKey(directory, nowSecOf(terminal))}  signs from now on`);
  return 0;
}

function rotate(terminal: Terminal, directory: string, aheadSec: number): number {
  readKeys(directory);
  const fromSec = nowSecOf(terminal) + aheadSec;
  terminal.out(`${createGatewayKey(directory, fromSec)}  published now, signs from ${time(fromSec)}`);
  if (aheadSec === 0)
    terminal.err('services refuse the new key until they have fetched it: use --now in emergencies only');
  return 0;
}

function retire(terminal: Terminal, directory: string, keyid: string): number {
  const nowSec = nowSecOf(terminal);
  const all = readKeys(directory);
  const key = named(all, keyid);
  const successor = signingKey(
    all.filter((other) => other !== key),
    nowSec,
  );
  if (successor === undefined) return refuseLast(terminal, keyid);
  if (signingKey(all, nowSec) === key) {
    terminal.err(`${keyid} signs now. First: countersign keys rotate, then wait until the new key signs`);
    return 1;
  }
  const endSec = nowSec + runOutSec;
  retireGatewayKey(directory, key, endSec);
  terminal.out(`${keyid}  accepted until ${time(endSec)}, then removed`);
  return 0;
}

function remove(terminal: Terminal, directory: string, keyid: string): number {
  const all = readKeys(directory);
  const key = named(all, keyid);
  if (
    signingKey(
      all.filter((other) => other !== key),
      nowSecOf(terminal),
    ) === undefined
  ) {
    return refuseLast(terminal, keyid);
  }
  removeGatewayKey(directory, key);
  terminal.out(`${keyid}  removed. If it was stolen, restart the services: they keep key sets for up to 10 minutes`);
  return 0;
}

function refuseLast(terminal: Terminal, keyid: string): number {
  terminal.err(`${keyid} is the only key that may sign now. First: countersign keys rotate --now`);
  return 1;
}

function named(all: readonly GatewayKey[], keyid: string): GatewayKey {
  const key = all.find((candidate) => candidate.keyid === keyid);
  if (key === undefined) throw new UsageError(`unknown key ${keyid}`);
  return key;
}

function signingKey(all: readonly GatewayKey[], nowSec: number): GatewayKey | undefined {
  return all.findLast((key) => key.notBeforeSec <= nowSec && (key.expiresSec ?? Number.POSITIVE_INFINITY) > nowSec);
}

function stateOf(key: GatewayKey, signing: GatewayKey | undefined, nowSec: number): string {
  if (key === signing) return 'signs';
  if (key.notBeforeSec > nowSec) return `published, signs from ${time(key.notBeforeSec)}`;
  if (key.expiresSec === undefined) return 'published, a newer key signs: can be retired';
  return key.expiresSec > nowSec ? `published until ${time(key.expiresSec)}` : `ended ${time(key.expiresSec)}`;
}

const nowSecOf = (terminal: Terminal) => Math.floor(terminal.nowMs() / 1000);

const time = (sec: number) => new Date(sec * 1000).toISOString().replace('.000Z', 'Z');
