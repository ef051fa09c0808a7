import { isDeepStrictEqual } from 'node:util';
import type { ErrorTable } from '@countersign/process-kit';
import type { Endpoint } from './endpoint.ts';
import type { Api } from './openapi.ts';

export type MergeOptions = Readonly<{
  title: string;
  description: string;
  /** The gateway's errors, which every operation can return. */
  gatewayErrors: ErrorTable;
}>;

/**
 * Merges the APIs of several services for callers, without the routes for services or the gateway only.
 *
 * @throws Error if two services define an error code or tag differently.
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
      throw new Error(`two services define the ${what} ${name} differently`);
    merged[name] = entry;
  }
  return merged;
}
