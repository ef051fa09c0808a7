import { createLogger } from '@countersign/service-kit';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import { OpenUpstream } from '../upstreams/pool/open-upstream.ts';

const timeoutMs = 5_000;

/**
 * Finds upstreams with `algorithm: agreed` whose targets publish different keys, so that no key is common to them. Targets that do
 * not answer tell nothing.
 *
 * @returns A problem for each such upstream.
 */
export async function differingKeys({ upstreams }: GatewayConfig): Promise<readonly string[]> {
  const agreed = [...upstreams.values()].filter(
    ({ identity, targets }) => identity.algorithm === 'agreed' && targets.length > 1,
  );
  const found = await Promise.all(agreed.map(problemOf));
  return found.flatMap((problem) => problem ?? []);
}

async function problemOf(upstream: Upstream): Promise<string | undefined> {
  const opened = new OpenUpstream(upstream, { logger: createLogger('gateway', 'silent') });
  try {
    const targets = opened.agreement?.targets ?? [];
    const answers = await Promise.all(
      targets.map(async (target) => ({ origin: target.origin, keys: await target.fetchOnce(timeoutMs) })),
    );
    const published = answers.flatMap(({ origin, keys }) =>
      keys?.length ? [{ origin, kids: keys.map(({ kid }) => kid) }] : [],
    );
    const [first, ...others] = published;
    if (first === undefined || first.kids.some((kid) => others.every(({ kids }) => kids.includes(kid))))
      return undefined;
    const list = published.map(({ origin, kids }) => `${origin} ${kids.join(' ')}`).join(', ');
    return `upstreams.${upstream.name}: its targets publish different keys for agreement (${list}): give them one key`;
  } finally {
    await opened.close();
  }
}
