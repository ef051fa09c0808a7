import type { z } from 'zod';
import { type RoutePart, route } from './route-schema.ts';
import { type Document, type IssuerPart, issuer, schema } from './schema.ts';
import { type UpstreamPart, upstream } from './upstream-schema.ts';

/** What of a route is well-formed, key by key; undefined where a key is not, or is not there. `written`: all that are. */
export type PartialRoute = { readonly [Key in keyof RoutePart]: RoutePart[Key] | undefined } & Readonly<{
  written: ReadonlySet<string>;
}>;

/** What of a file is well-formed, piece by piece; undefined where a piece is not, and its problem is already known. */
export type Parts = Readonly<{
  listen: Document['listen'] | undefined;
  publicOrigins: Document['publicOrigins'] | undefined;
  insecureTransport: boolean;
  redis: string | undefined;
  dpop: Document['dpop'] | undefined;
  issuers: readonly (IssuerPart | undefined)[];
  upstreams: ReadonlyMap<string, UpstreamPart | undefined>;
  services: ReadonlySet<string>;
  routes: readonly PartialRoute[];
  /** Whether there is a map of upstreams: without one each route would have a problem too. */
  hasUpstreams: boolean;
  tests: readonly (Document['tests'][number] | undefined)[];
}>;

/** Takes the good pieces of a file that may have bad ones, so that all its problems show at once. */
export function partsOf(raw: unknown): Parts {
  const file = recordOf(raw);
  return {
    listen: part(schema.shape.listen, file.listen),
    publicOrigins: part(schema.shape.publicOrigins, file.publicOrigins),
    dpop: part(schema.shape.dpop, file.dpop),
    insecureTransport: file.insecureTransport === true,
    redis: part(schema.shape.redis, file.redis),
    issuers: listOf(file.issuers).map((value) => part(issuer, value)),
    upstreams: new Map(Object.entries(recordOf(file.upstreams)).map(([name, value]) => [name, part(upstream, value)])),
    services: new Set(Object.keys(recordOf(file.services))),
    routes: listOf(file.routes).map((value) => partialRoute(recordOf(value))),
    hasUpstreams: isRecord(file.upstreams),
    tests: listOf(file.tests).map((value) => part(schema.shape.tests, [value])?.[0]),
  };
}

function partialRoute(written: Record<string, unknown>): PartialRoute {
  const keys = Object.entries(route.shape).map(([key, of]) => [key, part(of, written[key])]);
  return { ...(Object.fromEntries(keys) as Omit<PartialRoute, 'written'>), written: new Set(Object.keys(written)) };
}

function part<Schema extends z.ZodType>(of: Schema, value: unknown): z.output<Schema> | undefined {
  const parsed = of.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
