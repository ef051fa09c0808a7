import { z } from 'zod';
import type { GatewayConfig } from '../config/config.ts';

const identity = z.object({ uses: z.string(), keyid: z.string().nullish(), fallback: z.string().nullish() });
const upstreams = z.object({ upstreams: z.array(z.object({ name: z.string(), identity })) });

const timeoutMs = 2_000;

export const adminUrl = ({ listen: { admin } }: GatewayConfig): string =>
  `http://${admin.host.includes(':') ? `[${admin.host}]` : admin.host}:${admin.port}`;

/**
 * Asks the running gateway, at the admin address in the file, how it currently signs for each upstream.
 *
 * @returns A map by upstream name. Undefined if no gateway answers.
 */
export async function askIdentities(
  config: GatewayConfig,
): Promise<ReadonlyMap<string, z.output<typeof identity>> | undefined> {
  try {
    const response = await fetch(`${adminUrl(config)}/upstreams`, { signal: AbortSignal.timeout(timeoutMs) });
    const parsed = upstreams.parse(await response.json());
    return new Map(parsed.upstreams.map(({ name, identity }) => [name, identity]));
  } catch {
    // No gateway is running, or another program uses the port.
    return undefined;
  }
}
