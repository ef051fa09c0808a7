import type { z } from 'zod';
import { closest } from './closest.ts';
import { type RoutePart, route } from './route-schema.ts';
import { type Document, type IssuerPart, issuer, listen, schema, testCase } from './schema.ts';
import { type UpstreamPart, upstream } from './upstream-schema.ts';

/**
 * What of a map is well-formed, key by key; undefined where a key is not, or is not there. `written`: all that are there, and those
 * that a misspelt key was to be, so that it is one problem and not also a missing key.
 */
type PartlyGood<Part> = { readonly [Key in keyof Part]: Part[Key] | undefined } & Readonly<{
  written: ReadonlySet<string>;
}>;

export type PartialRoute = PartlyGood<RoutePart>;
export type PartialUpstream = PartlyGood<UpstreamPart>;

/** What of a file is well-formed, piece by piece; undefined where a piece is not, and its problem is already known. */
export type Parts = Readonly<{
  listen: PartlyGood<Document['listen']> | undefined;
  publicOrigins: Document['publicOrigins'] | undefined;
  insecureTransport: boolean;
  admin: Document['admin'] | undefined;
  redis: string | undefined;
  /** Also a malformed one. */
  hasRedis: boolean;
  dpop: Document['dpop'] | undefined;
  issuers: readonly PartlyGood<IssuerPart>[];
  upstreams: ReadonlyMap<string, PartialUpstream>;
  /** Has every name where there is no map of services: without one each mention of a service would be a problem too. */
  services: ReadonlySet<string>;
  routes: readonly PartialRoute[];
  /** Whether there is a map of upstreams: without one each route would have a problem too. */
  hasUpstreams: boolean;
  /** Whether there is an issuer; also true where what is written is no list. */
  hasIssuers: boolean;
  tests: readonly PartlyGood<Document['tests'][number]>[];
}>;

/** Takes the good pieces of a file that may have bad ones, so that all its problems show at once. */
export function partsOf(raw: unknown): Parts {
  const file = recordOf(raw);
  const written = writtenIn(file, schema.shape);
  const isMisspelt = (key: string) => written.has(key) && !(key in file);
  return {
    listen: file.listen === undefined || isRecord(file.listen) ? partlyGood(listen, file.listen) : undefined,
    publicOrigins: isMisspelt('publicOrigins') ? undefined : part(schema.shape.publicOrigins, file.publicOrigins),
    dpop: part(schema.shape.dpop, file.dpop),
    insecureTransport: file.insecureTransport === true,
    admin: part(schema.shape.admin, file.admin),
    redis: part(schema.shape.redis, file.redis),
    hasRedis: written.has('redis'),
    issuers: listOf(file.issuers).map((value) => partlyGood(issuer, value)),
    upstreams: new Map(
      Object.entries(recordOf(file.upstreams)).map(([name, value]) => [name, partlyGood(upstream, value)]),
    ),
    services:
      isMisspelt('services') || !isRecord(file.services ?? {})
        ? everyName
        : new Set(Object.keys(recordOf(file.services))),
    routes: listOf(file.routes).map((value) => partlyGood(route, value)),
    hasUpstreams: isRecord(file.upstreams),
    hasIssuers: Array.isArray(file.issuers) ? file.issuers.length > 0 : written.has('issuers'),
    tests: listOf(file.tests).map((value) => partlyGood(testCase, value)),
  };
}

function partlyGood<Schema extends z.ZodObject>({ shape }: Schema, value: unknown): PartlyGood<z.output<Schema>> {
  const map = recordOf(value);
  const keys = Object.entries<z.ZodType>(shape).map(([key, of]) => [key, part(of, map[key])]);
  return { ...Object.fromEntries(keys), written: writtenIn(map, shape) };
}

function writtenIn(map: Record<string, unknown>, shape: z.ZodRawShape): ReadonlySet<string> {
  const written = Object.keys(map);
  return new Set([
    ...written,
    ...written.flatMap((key) => (key in shape ? [] : (closest(key, Object.keys(shape)) ?? []))),
  ]);
}

const everyName: ReadonlySet<string> = Object.assign(new Set<string>(), { has: () => true });

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
