import { z } from 'zod';
import type { Path } from '../yaml/source.ts';
import { closest } from './closest.ts';

/** A part of the file whose malformed keys are undefined; zod has already reported those. */
export type Pieces<Part> = { readonly [Key in keyof Part]?: Part[Key] | undefined };

/** Whether zod has reported the value at a path, or a misspelled key that is probably this one. */
export type IsMalformed = (...path: Path) => boolean;

/** `other`: the value that this one conflicts with. `absent`: the key that is missing at the path. The `params` of a problem. */
export type Conflict = Readonly<{ other?: Path; absent?: string }>;

/** Adds a problem at a path. */
export type Refuse = (path: Path, message: string, conflict?: Conflict) => void;

/** A file in which keys, entries of lists and entries of maps may be malformed: then they are undefined, or without keys. */
export type WellFormed<File> = Pieces<
  Omit<File, 'listen' | 'services' | 'upstreams' | 'issuers' | 'routes' | 'tests'>
> & {
  readonly [Key in keyof File & ('issuers' | 'routes' | 'tests')]: File[Key] extends (infer Item)[]
    ? readonly Pieces<Item>[]
    : never;
} & { readonly [Key in keyof File & 'listen']: Pieces<File[Key]> } & {
  readonly [Key in keyof File & ('services' | 'upstreams')]: File[Key] extends Record<string, infer Item>
    ? Readonly<Record<string, Pieces<Item>>>
    : never;
};

export type CrossChecks<File> = (file: WellFormed<File>, isMalformed: IsMalformed, refuse: Refuse) => void;

/**
 * Adds checks that compare several values of the file.
 *
 * Without `when`, zod skips the refinements of a malformed object, and the file would show its problems in two rounds. So the checks
 * always run, and the malformed pieces are removed first.
 */
export function withCrossChecks<Shape extends z.ZodObject>(shape: Shape, checks: CrossChecks<z.output<Shape>>): Shape {
  return shape.superRefine(
    (file: unknown, context) => {
      const malformed = context.issues.flatMap(malformedPaths).map(pieceOf);
      const known = new Set(malformed.map(keyOf));
      // zod has built these objects itself, so the input stays as it is.
      for (const path of malformed) remove(file, path);
      checks(
        file as WellFormed<z.output<Shape>>,
        (...path) => known.has(keyOf(path)),
        (path, message, conflict = {}) =>
          context.addIssue({ code: 'custom', path: [...path], message, params: conflict }),
      );
    },
    { when: ({ value }) => isRecord(value) && !Array.isArray(value) },
  );
}

function malformedPaths(issue: z.core.$ZodRawIssue): readonly Path[] {
  const path = (issue.path ?? []) as Path;
  if (issue.code !== 'unrecognized_keys') return [path];
  if (!(issue.inst instanceof z.ZodObject)) return [path];
  const allowed = Object.keys(issue.inst.shape);
  return issue.keys.flatMap((key) => closest(key, allowed) ?? []).map((meant) => [...path, meant]);
}

/** What stands for a malformed value, by the steps to it. A piece is a key of a route, such as `routes[0].limits`, but `cors` as a whole. */
const placeholders: Readonly<Record<string, readonly (() => unknown)[]>> = {
  listen: [() => ({}), () => undefined],
  services: [() => ({}), () => ({})],
  upstreams: [() => ({}), () => ({}), () => undefined],
  ...Object.fromEntries(['issuers', 'routes', 'tests'].map((key) => [key, [() => [], () => ({}), () => undefined]])),
};

const pieceOf = (path: Path): Path => path.slice(0, placeholders[String(path[0])]?.length ?? 1);

function remove(file: unknown, path: Path): void {
  let holder = file;
  for (const step of path.slice(0, -1)) holder = isRecord(holder) ? holder[step] : undefined;
  const key = path.at(-1);
  if (key === undefined || !isRecord(holder)) return;
  holder[key] = placeholders[String(path[0])]?.[path.length - 1]?.();
}

function isRecord(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null;
}

const keyOf = (path: Path): string => JSON.stringify(path);
