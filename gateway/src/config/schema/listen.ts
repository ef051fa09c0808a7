import { isDeepStrictEqual } from 'node:util';
import { isLoopback, isLoopbackHost } from '@countersign/service-kit';
import { z } from 'zod';
import type { Certificate } from '../tls-files.ts';
import type { IsMalformed, Pieces, Refuse } from './cross-checks.ts';
import { type Decision, type DecisionAddress, type DecisionPieces, decisionAddress, isSocket } from './decision.ts';
import { type Address, address, filePath, unique } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';
import { allowedHost } from './values/urls.ts';

export const listen = z.strictObject({
  public: address.prefault('127.0.0.1:8080').describe('The address that clients connect to.'),
  admin: address
    .prefault('127.0.0.1:9090')
    .describe('The address for operators, with health, metrics and the key set.'),
  internal: address.prefault('127.0.0.1:8090').describe('The address for services, with the key set and nested calls.'),
  decision: decisionAddress.optional().describe('The address where another proxy asks for decisions.'),
  events: address.optional().describe('The address that providers send events to. Default: the `public` address.'),
  tls: z
    .strictObject({
      cert: filePath.describe('A PEM file with the certificate, followed by its chain.'),
      key: filePath.describe("A PEM file with the certificate's private key, without a passphrase."),
      clients: z
        .strictObject({
          ca: filePath.describe('A PEM file with the CAs that sign client certificates.'),
          mode: z
            .enum(['request', 'require'])
            .prefault('request')
            .describe('Whether a client certificate is optional. `require` refuses connections that have none.'),
        })
        .optional()
        .describe('Asks clients for a certificate. Tokens may be bound to that certificate (RFC 8705).'),
    })
    .optional()
    .describe('Serves `public` only over TLS 1.2 and 1.3. The gateway reads the files again when they change.'),
});

export type ListenPieces = Pieces<z.output<typeof listen>>;

export const admin = z
  .strictObject({
    console: z.boolean().default(true).describe('Whether the admin listener serves the console and its API.'),
    allowedHosts: unique(allowedHost)
      .prefault([])
      .describe(
        'Additional accepted `Host` values. A value without a port allows any port. Requests with other values get 421.',
      ),
  })
  .prefault({})
  .describe('Settings for the admin listener. It always accepts `localhost` and its own address, with its own port.');

/** Settings that a process cannot change after it starts. For the certificate, only whether there is one. */
export type StartSettings = Readonly<{
  listen: Readonly<Record<'public' | 'admin' | 'internal', Address>> &
    Readonly<{ decision?: DecisionAddress | undefined; events?: Address | undefined }>;
  admin: Immutable<z.output<typeof admin>>;
  redis?: string | undefined;
  instances: 'one' | 'many';
  /** An absolute path. */
  journal?: string | undefined;
  certificate: Pick<Certificate, 'clients'> | undefined;
  /** Whether the proxy that asks for decisions presents a certificate. */
  decision?: Pick<Decision, 'clientCa'> | undefined;
}>;

const listenerNames = ['public', 'admin', 'internal', 'decision', 'events'] as const;
const optionalListeners: ReadonlySet<string> = new Set(['decision', 'events']);

export function checkListeners(listen: ListenPieces, refuse: Refuse): void {
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
}: Readonly<{ listen: ListenPieces; insecureTransport?: boolean | undefined }>): string | undefined {
  if (insecureTransport || admin === undefined || isLoopbackHost(admin.host)) return undefined;
  return 'other machines can reach the admin listener, which has no login: use a loopback address, or set insecureTransport: true if the network is trusted';
}

/**
 * Refuses a reload that changes a startup setting. Applying only the other changes would produce a configuration that
 * is neither the old one nor the new one.
 */
export function checkStartSettings(
  file: Pieces<Pick<StartSettings, 'admin' | 'redis' | 'instances' | 'journal'>> &
    Readonly<{ listen: ListenPieces; decision?: DecisionPieces | undefined }>,
  isMalformed: IsMalformed,
  refuse: Refuse,
  running: StartSettings,
): void {
  const refuseChange = (...path: readonly string[]) =>
    refuse(path, 'cannot change while the gateway runs: restart it, or restore the old value');
  for (const name of listenerNames) {
    const wanted = file.listen[name];
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
    const hasTls = file.listen.tls !== undefined;
    if (hasTls !== (running.certificate !== undefined)) refuseChange('listen', ...(hasTls ? ['tls'] : []));
    // The CAs may change too, but not whether the gateway asks clients for a certificate.
    else if (file.listen.tls?.clients?.mode !== running.certificate?.clients?.mode) refuseChange('listen', 'tls');
  }
  for (const key of ['admin', 'redis', 'instances', 'journal'] as const) {
    if (!isMalformed(key) && !isDeepStrictEqual(file[key], running[key])) refuseChange(key);
  }
}

export function ownListenerAt(target: string, listen: ListenPieces): string | undefined {
  return addressesOf(listen).find(([, address]) => reaches(target, address))?.[0];
}

const addressesOf = (listen: ListenPieces): readonly (readonly [name: string, Address])[] =>
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
