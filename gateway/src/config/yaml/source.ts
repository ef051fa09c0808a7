import type { Origin } from './variables.ts';

/** The keys and indexes that lead to a value. */
export type Path = readonly (string | number)[];

/** A problem at an offset of the text. `other`: the offset of the value that it conflicts with. */
export type FileProblem = Readonly<{ offset: number; message: string; other?: number }>;

/** A string with variables in it. `redacted`: the string with `${NAME}` in place of every value from the environment. */
export type Variable = Readonly<{ path: Path; redacted: string; origin: Origin }>;

/** The values of a YAML file, and the place of each. */
export type Source = Readonly<{
  value: unknown;
  problems: readonly FileProblem[];
  /** The offset of the value at a path, or of its nearest ancestor. */
  offsetOf(path: Path): number;
  /** The offset of the key at a path. */
  keyOffsetOf(path: Path): number;
  originOf(path: Path): Origin;
  /** The strings with variables in them. */
  variables(): Iterable<Variable>;
  /** {@link Variable.redacted} of the string at a path. */
  redactedAt(path: Path): string;
  /** Whether `problems` has the value at a path already: for its variables, alias or tag. */
  isBroken(path: Path): boolean;
  /** `line:column`, from 1. */
  lineColumn(offset: number): string;
}>;
