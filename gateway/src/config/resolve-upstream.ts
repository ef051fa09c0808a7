import { resolve } from 'node:path';
import type { Upstream, UpstreamIdentity, UpstreamTls } from './config.ts';
import type { UpstreamPart } from './schema/upstream-schema.ts';

/** @param directory Where relative paths begin. */
export function resolveUpstream(
  name: string,
  part: UpstreamPart,
  identity: UpstreamIdentity,
  directory: string,
): Upstream {
  const { timeouts, health, retry, breaker, tls } = part;
  return {
    name,
    targets: part.targets,
    identity,
    txnToken: part.txnToken,
    timeouts: { connectMs: timeouts.connect, responseMs: timeouts.response, idleMs: timeouts.idle },
    minRate: part.minRate,
    balance: part.balance,
    health: health && {
      path: health.path,
      intervalMs: health.interval,
      timeoutMs: health.timeout,
      unhealthyAfter: health.unhealthyAfter,
      healthyAfter: health.healthyAfter,
    },
    retry: { attempts: retry?.attempts ?? 0 },
    breaker: breaker && {
      failureRate: breaker.failureRate,
      minimum: breaker.minimum,
      windowMs: breaker.window,
      cooldownMs: breaker.cooldown,
    },
    tls: tls && resolveTls(tls, directory),
  };
}

/** Makes its paths absolute. */
export function resolveTls(
  { ca, cert, key, serverName }: NonNullable<UpstreamPart['tls']>,
  directory: string,
): UpstreamTls {
  const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(directory, path));
  return { caFile: absolute(ca), certFile: absolute(cert), keyFile: absolute(key), serverName };
}
