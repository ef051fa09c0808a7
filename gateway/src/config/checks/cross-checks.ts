import { closest, type Path } from '@countersign/strict-yaml';
import { z } from 'zod';
import type { Document } from '../schema/schema.ts';
import type { Immutable, Pieces } from '../schema/values/shapes.ts';

/** Whether zod has reported the value at a path, or a misspelled key that probably means this one. */
export type IsMalformed = (...path: Path) => boolean;

/**
 * The `params` of a problem. `other` is the path of the value that this one conflicts with. `absent` is the key that
 * is missing at the path.
 */
export type Conflict = Readonly<{ other?: Path; absent?: string }>;

export type Refuse = (path: Path, message: string, conflict?: Conflict) => undefined;

export const below =
  (refuse: Refuse, ...path: Path): Refuse =>
  (at, ...problem) =>
    refuse([...path, ...at], ...problem);

/**
 * How many path steps lead to a separate piece, for keys that contain several. For example, `routes[0].limits` is one
 * piece (3 steps). Every other key, such as `cors`, is a single piece.
 */
const stepsTo = { listen: 2, services: 2, upstreams: 3, issuers: 3, routes: 3, tests: 3 } as const;
type Divided = keyof typeof stepsTo;

type Entries<Part> = Part extends readonly (infer Item)[]
  ? readonly Pieces<Item>[]
  : Part extends Record<string, infer Item>
    ? Readonly<Record<string, Pieces<Item>>>
    : never;

/** A file with malformed keys, list items and map entries removed: they are undefined, or have no keys. */
type WellFormed<File> = Pieces<Omit<File, Divided>> & {
  readonly [Key in keyof File & Divided]: Key extends 'listen' ? Pieces<File[Key]> : Entries<File[Key]>;
};

/** Settings that a process cannot change after it starts. For the certificates, only whether there are any. */
export type StartSettings = Immutable<Pick<Document, 'admin' | 'redis' | 'instances' | 'journal'>> &
  Readonly<{
    listen: Immutable<Omit<Document['listen'], 'tls'>>;
    certificate: Pick<NonNullable<Document['listen']['tls']>, 'clients'> | undefined;
    decision: Readonly<{ clientCa: string | undefined }> | undefined;
  }>;

/** The well-formed parts of a gateway.yaml, with what its checks know besides. */
export type CheckedFile = WellFormed<Document> &
  Readonly<{
    isMalformed: IsMalformed;
    /** Paths in the file are relative to this directory. */
    directory: string;
    workers: number;
    isFips: boolean;
    isProduction: boolean;
    /** If set, no file that the configuration names is opened, and their names are added here. */
    unread: Set<string> | undefined;
    /** The settings of the running gateway, if the file is read for a reload. */
    running: StartSettings | undefined;
  }>;

export type RoutePieces = CheckedFile['routes'][number];
export type UpstreamPieces = CheckedFile['upstreams'];

/**
 * Adds checks that compare several values in the file.
 *
 * Without `when`, zod skips the refinements of a malformed object, so users would see their problems in two rounds. So
 * these checks always run, and the malformed pieces are removed first.
 */
export function withCrossChecks<Shape extends z.ZodObject>(
  shape: Shape,
  checks: (file: WellFormed<z.output<Shape>>, isMalformed: IsMalformed, refuse: Refuse) => void,
): Shape {
  return shape.superRefine(
    (file: unknown, context) => {
      const malformed = context.issues.flatMap(malformedPaths).map(pieceOf);
      const known = new Set(malformed.map(keyOf));
      // zod created these objects, so this does not change the input.
      for (const path of malformed) remove(file, path);
      checks(
        file as WellFormed<z.output<Shape>>,
        (...path) => known.has(keyOf(path)),
        (path, message, conflict = {}) =>
          void context.addIssue({ code: 'custom', path: [...path], message, params: conflict }),
      );
    },
    { when: ({ value }) => isRecord(value) && !Array.isArray(value) },
  );
}

function malformedPaths(issue: z.core.$ZodRawIssue): readonly Path[] {
  const path = (issue.path ?? []) as Path;
  if (issue.code !== 'unrecognized_keys' || !(issue.inst instanceof z.ZodObject)) return [path];
  const allowed = Object.keys(issue.inst.shape);
  return issue.keys.flatMap((key) => closest(key, allowed) ?? []).map((meant) => [...path, meant]);
}

const pieceOf = (path: Path): Path => path.slice(0, stepsTo[path[0] as Divided] ?? 1);

function remove(file: unknown, path: Path): void {
  let holder = file;
  for (const step of path.slice(0, -1)) holder = isRecord(holder) ? holder[step] : undefined;
  const key = path.at(-1);
  if (key === undefined || !isRecord(holder)) return;
  const top = path[0] as Divided;
  const isKey = path.length === (stepsTo[top] ?? 1) && top !== 'services';
  const isList = path.length === 1 && (top === 'issuers' || top === 'routes' || top === 'tests');
  holder[key] = isKey ? undefined : isList ? [] : {};
}

function isRecord(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null;
}

const keyOf = (path: Path): string => JSON.stringify(path);
