import type { Environment } from '@countersign/service-kit';

/** Where a string's text came from: secrets must come from `variable`. `default`: one is written, used or not. */
export type Origin = 'written' | 'variable' | 'default';

export type Substituted = Readonly<{
  text: string;
  /** The same for somebody to look at: what came from the environment stays the variable that it is. */
  redacted: string;
  origin: Origin;
  problems: readonly string[];
}>;

const reference = /\$\$|\$\{([^}]*)\}|\$\{/g;
const body = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Puts variables into one string: `${VAR}`, `${VAR:-default}`, and `$$` for a dollar. A variable that is set but empty is
 * empty; `:-` gives its default then too, as in a shell. What is put in is not looked at again, and variables do not nest.
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
type Read = Readonly<{ value: string; redacted?: string; origin: Origin }>;

const written = (value: string): Read => ({ value, origin: 'written' });

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

function readVariable({ whole, inside = '' }: Reference, env: Environment, problems: string[]): Read {
  const [, name, fallback] = body.exec(inside) ?? [];
  // In `${A:-${B}}` the default would end at the first brace.
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
