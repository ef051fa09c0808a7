import { isDeepStrictEqual } from 'node:util';
import type { ErrorTable } from '../errors.ts';
import type { Endpoint } from './endpoint.ts';
import type { Api } from './openapi.ts';

export type MergeOptions = Readonly<{
  title: string;
  description: string;
  /** The errors of the gateway, which every operation can answer with. */
  gatewayErrors: ErrorTable;
}>;

/**
 * One API of several services, as clients see it through the gateway: without routes for services and the gateway.
 * `describeApi` refuses two operations of one name or place, and two schemas of one name.
 *
 * @throws Error when one error code or tag means two things.
 */
export function mergeApis(apis: readonly Api[], { title, description, gatewayErrors }: MergeOptions): Api {
  const endpoints = apis.flatMap((api) => api.endpoints.filter(isForClients));
  const used = new Set(endpoints.map(({ tag }) => tag));
  const tags = apis.map((api) => byName(api.tags.filter(({ name }) => used.has(name))));
  return {
    title,
    description,
    tags: Object.values(mergeTables('tag', ...tags)),
    errors: mergeTables('error code', gatewayErrors, ...apis.map(({ errors }) => errors)),
    problemMembers: mergeTables('error code', ...apis.map(({ problemMembers = {} }) => problemMembers)),
    gatewayErrors,
    endpoints,
  };
}

const isForClients = ({ callers }: Endpoint): boolean =>
  callers.some((kind) => kind !== 'service' && kind !== 'gateway');

const byName = <Tag extends { name: string }>(tags: readonly Tag[]): Record<string, Tag> =>
  Object.fromEntries(tags.map((tag) => [tag.name, tag]));

function mergeTables<Entry>(what: string, ...tables: Readonly<Record<string, Entry>>[]): Record<string, Entry> {
  const merged: Record<string, Entry> = {};
  for (const [name, entry] of tables.flatMap((table) => Object.entries(table))) {
    const known = merged[name];
    if (known !== undefined && !isDeepStrictEqual(known, entry))
      throw new Error(`the ${what} ${name} means two things`);
    merged[name] = entry;
  }
  return merged;
}
