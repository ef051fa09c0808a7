import type { GatewayConfig, Limit, Route, Upstream } from '../config/config.ts';

export const settingsOf = ({ path, websocket, limits, body, auth }: Route, { cors }: GatewayConfig) => ({
  path,
  websocket,
  limits: limits.map(limitText),
  body: body.mode === 'none' ? 'none' : `${body.mode}, at most ${body.maxBytes} bytes`,
  cors: auth === 'service' || cors === undefined ? null : [...cors.origins],
});

const limitText = ({ requests, perSec, by, onStoreFailure }: Limit): string =>
  `${requests} in ${perSec} s by ${by}${onStoreFailure === 'deny' ? '; 503 while Redis is gone' : ''}`;

type Signing = Readonly<{ signedNow?(upstream: Upstream): Promise<string> }>;

export async function upstreamSettingsOf({ upstream }: Route, { signedNow }: Signing) {
  const isAgreed = upstream.identity.algorithm === 'agreed';
  const agreed = 'signed with a key that both sides agree on (hmac-sha256), or with ed25519 while there is none';
  return {
    name: upstream.name,
    targets: [...upstream.targets],
    handling: handlingOf(upstream),
    signing: isAgreed ? agreed : null,
    signed_now: isAgreed ? ((await signedNow?.(upstream)) ?? null) : null,
  };
}

function handlingOf({ timeouts, retry, breaker }: Upstream): string {
  const { connectMs, responseMs, idleMs } = timeouts;
  const parts = [`connect ${connectMs} ms, response ${responseMs} ms, idle ${idleMs} ms`];
  if (retry.attempts > 0)
    parts.push(`${retry.attempts} more ${retry.attempts === 1 ? 'attempt' : 'attempts'} where it is safe`);
  if (breaker !== undefined) parts.push('a circuit breaker');
  return parts.join('; ');
}
