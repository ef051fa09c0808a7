import { z } from 'zod';
import type { GatewayConfig, Limit, Route, Upstream } from '../config/config.ts';

export const routeSettings = z
  .object({
    path: z.string().describe('The pattern of the route.'),
    websocket: z.boolean(),
    limits: z.array(z.string()),
    body: z.string(),
    cors: z.array(z.string()).nullable().describe('The origins whose pages may call.'),
  })
  .describe('What the configuration says of the route.');

export const upstreamSettings = z
  .object({
    name: z.string(),
    targets: z.array(z.string()),
    handling: z.string(),
    signing: z
      .string()
      .nullable()
      .describe('Set where the running gateway decides how it signs: see `algorithm: agreed`.'),
    signed_now: z.string().nullable().describe('How the running gateway signs now, on the command line.'),
  })
  .describe('The upstream that receives the request.');

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
