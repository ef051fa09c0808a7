import type { ClaimPath } from '../../config/config.ts';

export type Payload = Readonly<Record<string, unknown>>;

/** What stands at a path. `blocked`: a step on the way is not an object. */
export type Read = Readonly<{ value: unknown }> | 'absent' | 'blocked';

/** Reads own members of objects only: never of a prototype, and never an item of a list. */
export function readPath(payload: Payload, path: ClaimPath): Read {
  let value: unknown = payload;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'blocked';
    if (!Object.hasOwn(value, step)) return 'absent';
    value = (value as Payload)[step];
  }
  return { value };
}

/** The value of a claim. Undefined: absent. */
export const claimOf = (payload: Payload, name: string): unknown =>
  Object.hasOwn(payload, name) ? payload[name] : undefined;

export const pathText = (path: ClaimPath): string => (path.length === 1 ? (path[0] ?? '') : `[${path.join(', ')}]`);
