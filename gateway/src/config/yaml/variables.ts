import type { Environment } from '@countersign/service-kit';

/** The origin of a string. Secrets must come from `variable`. `default`: a default is written, even if it is not used. */
export type Origin = 'written' | 'variable' | 'default';

export type Substituted = Readonly<{
  text: string;
  /** The text with `${NAME}` in place of every value from the environment. */
  redacted: string;
  origin: Origin;
  problems: readonly string[];
}>;

const reference = /\$\$|\$\{([^}]*)\}|\$\{/g;
const body = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Replaces the variables of one string: `${VAR}`, `${VAR:-default}`, and `$$` for a dollar. As in a shell, `:-` also gives the default
 * for an empty variable. Replaced values are not searched again, and variables do not nest.
 */
export function substitute(text: string, env: Environment): Substituted {
  const problems: string[] = [];
  const pieces = piecesOf(text);
  const read = pieces.map((piece) => (typeof piece === 'string' ? written(piece) : readVariable(piece, env, problems)));
  const origins = read.map(({ origin }) => origin);
  return {
    text: read.map(({ value }) => value).join(''),
    redacted: read.map(({ value, redacted }) => redacted ?? value).join(''),
    origin:
      origins.find((origin) => origin === 'default') ?? origins.find((origin) => origin === 'variable') ?? 'written',
    problems,
  };
}

type Reference = Readonly<{ whole: string; inside: string | undefined }>;
type VariableValue = Readonly<{ value: string; redacted?: string; origin: Origin }>;

const written = (value: string): VariableValue => ({ value, origin: 'written' });

function piecesOf(text: string): readonly (string | Reference)[] {
  const pieces: (string | Reference)[] = [];
  let at = 0;
  for (const match of text.matchAll(reference)) {
    const [whole, inside] = match;
    pieces.push(text.slice(at, match.index), whole === '$$' ? '$' : { whole, inside });
    at = match.index + whole.length;
  }
  return [...pieces, text.slice(at)];
}

function readVariable({ whole, inside = '' }: Reference, env: Environment, problems: string[]): VariableValue {
  const [, name, fallback] = body.exec(inside) ?? [];
  // The default of `${A:-${B}}` would end at the first brace.
  if (name === undefined || fallback?.includes('${')) {
    problems.push(`malformed variable: write "\${NAME}", "\${NAME:-default}", or "$$" for a dollar; they do not nest`);
    return written('');
  }
  const value = env[name];
  if (value !== undefined && value !== '') return { value, redacted: whole, origin: fallback ? 'default' : 'variable' };
  if (fallback !== undefined) return { value: fallback, origin: 'default' };
  if (value === undefined) {
    problems.push(`the variable ${name} is not set, and has no default ("\${${name}:-default}")`);
  }
  return { value: '', origin: 'variable' };
}
