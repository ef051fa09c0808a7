import { statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isLoopback, isLoopbackHost } from '@countersign/process-kit';
import { isSocket } from '../schema/listen.ts';
import type { Address } from '../schema/values/scalars.ts';
import type { CheckedFile, Refuse } from './cross-checks.ts';

const listenerNames = ['public', 'admin', 'internal', 'decision', 'events'] as const;
const optionalListeners: ReadonlySet<string> = new Set(['decision', 'events']);

export function checkListeners(file: CheckedFile, refuse: Refuse): void {
  const { listen, isProduction } = file;
  const openAdmin = openAdminProblem(file);
  if (isProduction && openAdmin !== undefined) refuse(['listen', 'admin'], openAdmin);
  const all = addressesOf(listen);
  for (const [index, [name, address]] of all.entries()) {
    const other = all.slice(0, index).find(([, before]) => isShared(address, before));
    if (other === undefined) continue;
    refuse(['listen', name], `is the same address as listen.${other[0]}: each listener needs its own address`, {
      other: ['listen', other[0]],
    });
  }
}

/**
 * @returns Undefined if only this machine can reach the admin listener, or if the file says that the network is
 *   trusted.
 */
export function openAdminProblem({
  listen: { admin },
  insecureTransport,
}: Pick<CheckedFile, 'listen' | 'insecureTransport'>): string | undefined {
  if (insecureTransport || admin === undefined || isLoopbackHost(admin.host)) return undefined;
  return 'other machines can reach the admin listener, which has no login: use a loopback address, or set insecureTransport: true if the network is trusted';
}

/**
 * Refuses a reload that changes a startup setting. Applying only the other changes would produce a configuration that
 * is neither the old one nor the new one.
 */
export function checkStartSettings(file: CheckedFile, refuse: Refuse): void {
  const { running, isMalformed, listen } = file;
  if (running === undefined) return;
  const refuseChange = (...path: readonly string[]) =>
    refuse(path, 'cannot change while the gateway runs: restart it, or restore the old value');
  for (const name of listenerNames) {
    const wanted = listen[name];
    const isKept = isDeepStrictEqual(wanted, running.listen[name]);
    // A malformed address was already refused.
    if (!isKept && (wanted !== undefined || (optionalListeners.has(name) && !isMalformed('listen', name))))
      refuseChange('listen', name);
  }
  const hasProxyCa = file.decision?.clientCa !== undefined;
  if (!isMalformed('decision') && hasProxyCa !== (running.decision?.clientCa !== undefined))
    refuseChange('decision', ...(hasProxyCa ? ['clientCa'] : []));
  // The certificate may change, but not whether there is one.
  if (!isMalformed('listen') && !isMalformed('listen', 'tls')) {
    const hasTls = listen.tls !== undefined;
    if (hasTls !== (running.certificate !== undefined)) refuseChange('listen', ...(hasTls ? ['tls'] : []));
    // The CAs may change too, but not whether the gateway asks clients for a certificate.
    else if (listen.tls?.clients?.mode !== running.certificate?.clients?.mode) refuseChange('listen', 'tls');
  }
  const journal = file.journal && resolve(file.directory, file.journal);
  const { admin, redis, instances } = file;
  for (const [key, wanted] of Object.entries({ admin, redis, instances, journal })) {
    if (!isMalformed(key) && !isDeepStrictEqual(wanted, running[key as 'admin'])) refuseChange(key);
  }
}

export const ownListenerAt = (target: string, listen: CheckedFile['listen']): string | undefined =>
  addressesOf(listen).find(([, address]) => reaches(target, address))?.[0];

const addressesOf = (listen: CheckedFile['listen']): readonly (readonly [name: string, Address])[] =>
  listenerNames.flatMap((name) => {
    const address = listen[name];
    return address === undefined || isSocket(address) ? [] : [[name, address] as const];
  });

/** Whether the system would refuse to open the second of these two listeners. */
function isShared(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isUnspecified(a) || isUnspecified(b);
}

const isUnspecified = ({ host }: Address): boolean => host === '0.0.0.0' || host === '::';

function reaches(target: string, address: Address): boolean {
  const url = new URL(target);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (port !== address.port) return false;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return host === address.host || (isLoopback(target) && (isUnspecified(address) || isLoopbackHost(address.host)));
}

/** The types of in-memory file systems (statfs(2)): tmpfs and ramfs. A restart of the machine loses their files. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

export function checkJournal(file: CheckedFile, refuse: Refuse): void {
  const { journal, issuers, listen, directory, isMalformed, unread } = file;
  if (isMalformed('journal')) return;
  const hasEvents = issuers.some(({ events }) => events !== undefined);
  if (listen.events !== undefined && !hasEvents) refuse(['listen', 'events'], 'receives nothing: no issuer has events');
  if (journal === undefined) {
    const message = '"journal" is required with events: name a directory to store them in';
    if (hasEvents) refuse([], message, { absent: 'journal' });
  } else if (unread === undefined && inMemory.has(fileSystemOf(resolve(directory, journal)))) {
    const message = 'is in memory (tmpfs), so a restart of the machine would lose acknowledged events: name a disk';
    refuse(['journal'], message);
  }
}

/** Returns the file system type of a directory, or of the place where it would be created. */
function fileSystemOf(path: string): number {
  try {
    return statfsSync(path).type;
  } catch {
    return path === dirname(path) ? 0 : fileSystemOf(dirname(path));
  }
}

/**
 * Requires Redis if several processes share state: workers, or several gateways. Without Redis, each would count limits
 * separately and know only its own events, and a captured call or DPoP proof would work once in each.
 */
export function checkRedis(file: CheckedFile, refuse: Refuse): void {
  const { routes, services, issuers, publicOrigins = [], redis, instances, workers, isMalformed } = file;
  if (isMalformed('redis') || isMalformed('instances')) return;
  if ((workers === 1 && instances !== 'many') || redis !== undefined) return;
  const limited = routes.filter(({ limits = [] }) => limits.length > 0);
  const proving = publicOrigins.length > 0 ? routes : [];
  const several = workers > 1 ? `${workers} workers` : 'instances: many';
  for (const [names, why] of [
    [limited.map(nameOf), 'count the limits for … separately'],
    [Object.keys(services), 'remember calls from … separately'],
    [proving.map(nameOf), 'remember the DPoP proofs for … separately'],
    [issuers.filter(({ events }) => events !== undefined).map(nameOf), 'know only some events from …'],
  ] as const) {
    const reason = `each process would ${why.replace('…', () => someOf(names))}`;
    if (names.length > 0) refuse([], `"redis" is required with ${several}: ${reason}`, { absent: 'redis' });
  }
}

const nameOf = ({ name = '(unnamed)' }: Readonly<{ name?: string | undefined }>): string => name;

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
