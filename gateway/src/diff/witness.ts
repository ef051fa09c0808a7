import type { Asked } from './engine.ts';
import type { PathShape } from './path-shapes.ts';
import type { AccessChange, Witness } from './report-schema.ts';

/** @param chosen Values for free segments, by their index. */
export const pathOf = ({ segments }: PathShape, chosen: ReadonlyMap<number, string> = new Map()): string =>
  `/${segments.map((segment, at) => encodeURIComponent(chosen.get(at) ?? segment)).join('/')}`;

/** The paths that other shapes cover: those with a literal in place of a free segment. */
export function exceptionsOf({ text, taken }: PathShape): readonly string[] {
  const parts = text.split('/');
  return taken.flatMap((literals = new Set(), at) =>
    Array.from(literals, (literal) => [...parts.slice(0, at + 1), literal].join('/')),
  );
}

const upgrade = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
];

/** Returns the question for `explain`. @param origin Of the page that sends a preflight. */
export function witnessOf(
  method: AccessChange['methods'][number],
  path: string,
  { payload, service }: Asked,
  origin: string | undefined,
): Witness {
  const asked = {
    ...(payload !== undefined && { payload: JSON.stringify(payload) }),
    ...(service !== undefined && { service }),
  };
  if (method === 'WebSocket') return { method: 'GET', path, headers: upgrade, ...asked };
  if (method !== 'preflight') return { method, path, ...asked };
  return { method: 'OPTIONS', path, headers: [`Origin: ${origin}`, 'Access-Control-Request-Method: GET'] };
}
