import type { Address } from '../config.ts';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';
import { isLoopback, isLoopbackHost } from './url-scalars.ts';

/** What holds between listeners, issuers and upstreams. */
export function checkEdges(parts: Parts): readonly Finding[] {
  return [
    ...listenersApart(parts),
    ...issuersApart(parts),
    ...plainHttp(parts),
    ...ownListeners(parts),
    ...txnTokens(parts),
    ...feeds(parts),
  ];
}

function listenersApart({ listen }: Parts): readonly Finding[] {
  if (listen === undefined) return [];
  const all = addressesOf(listen);
  return all.flatMap(([name, address], index) => {
    const other = all.slice(0, index).find(([, before]) => isShared(address, before));
    if (other === undefined) return [];
    const message = `is the same address as listen.${other[0]}: each needs its own`;
    return [{ path: ['listen', name], message, other: ['listen', other[0]] }];
  });
}

/** Whether the system would refuse the second of two. */
function isShared(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isEverywhere(a) || isEverywhere(b);
}

const isEverywhere = ({ host }: Address): boolean => host === '0.0.0.0' || host === '::';

const addressesOf = (listen: NonNullable<Parts['listen']>): readonly (readonly [name: string, Address])[] =>
  (['public', 'admin', 'internal'] as const).flatMap((name) => {
    const address = listen[name];
    return address === undefined ? [] : [[name, address] as const];
  });

function issuersApart({ issuers }: Parts): readonly Finding[] {
  const findings: Finding[] = [];
  const seen = new Map<string, Finding['path']>();
  for (const [index, issuer] of issuers.entries()) {
    const path = ['issuers', index];
    if (issuer.issuer !== undefined) {
      const other = seen.get(issuer.issuer);
      if (other !== undefined) findings.push({ path: [...path, 'issuer'], message: 'stands here twice', other });
      else seen.set(issuer.issuer, [...path, 'issuer']);
    }
    if (issuers.length === 1) continue;
    // Otherwise each could name the other's users (a hostile issuer is a case of docs/threat-model.md).
    for (const key of ['tenants', 'roles'] as const) {
      if (issuer.written.has(key)) continue;
      findings.push({ path, message: `"${key}" is required with two or more issuers: the ${key} this one may name` });
    }
  }
  return findings;
}

/** A txn-token is good in the hands of the service that it was handed to, and that is known by its key. */
function txnTokens({ upstreams, services }: Parts): readonly Finding[] {
  return [...upstreams]
    .filter(([name, upstream]) => upstream.txnToken === true && !services.has(name))
    .map(([name]) => ({
      path: ['upstreams', name, 'txnToken'],
      message: `"${name}" has no keys under services, so it could make no calls with it`,
    }));
}

/** What is asked of a feed is signed for the upstream that it belongs to. */
function feeds({ issuers, upstreams }: Parts): readonly Finding[] {
  const all = [...upstreams.values()].map(({ targets }) => targets);
  // A target that is malformed may be the one.
  if (all.includes(undefined)) return [];
  const targets = new Set(all.flat());
  return issuers.flatMap(({ revocations }, index) =>
    revocations === undefined || targets.has(new URL(revocations.url).origin)
      ? []
      : [
          {
            path: ['issuers', index, 'revocations', 'url'],
            message: 'is at no target of any upstream, so what is asked of it could not be signed',
          },
        ],
  );
}

function* calledUrls({ issuers, upstreams }: Parts): Generator<readonly [Finding['path'], string]> {
  for (const [index, { jwks, revocations }] of issuers.entries()) {
    if (jwks !== undefined) yield [['issuers', index, 'jwks'], jwks];
    if (revocations !== undefined) yield [['issuers', index, 'revocations', 'url'], revocations.url];
  }
  for (const [name, upstream] of upstreams) {
    for (const [index, target] of (upstream.targets ?? []).entries()) {
      yield [['upstreams', name, 'targets', index], target];
    }
  }
}

function plainHttp(parts: Parts): readonly Finding[] {
  if (parts.insecureTransport) return [];
  return [...calledUrls(parts)]
    .filter(([, url]) => url.startsWith('http:') && !isLoopback(url))
    .map(([path]) => ({
      path,
      message: 'plain http leaves this machine: use https, or set insecureTransport: true where the network is trusted',
    }));
}

// A route to our own admin listener would publish it (CVE-2020-11710).
function ownListeners({ listen, upstreams }: Parts): readonly Finding[] {
  if (listen === undefined) return [];
  const findings: Finding[] = [];
  for (const [name, upstream] of upstreams) {
    for (const [index, target] of (upstream.targets ?? []).entries()) {
      const own = addressesOf(listen).find(([, address]) => reaches(target, address));
      if (own === undefined) continue;
      findings.push({ path: ['upstreams', name, 'targets', index], message: `is the gateway's own listen.${own[0]}` });
    }
  }
  return findings;
}

function reaches(target: string, address: Address): boolean {
  const url = new URL(target);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (port !== address.port) return false;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return host === address.host || (isLoopback(target) && (isEverywhere(address) || isLoopbackHost(address.host)));
}
