/** Variables by name, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The origin of a string. Secrets must come from `variable`. `default` means that the variable has a default, used or
 * not.
 */
export type Origin = 'written' | 'variable' | 'default';

export type Substituted = Readonly<{
  text: string;
  /** The text with `${NAME}` in place of every value from the environment. */
  redacted: string;
  origin: Origin;
  problems: readonly string[];
}>;

/** The group makes `split` keep the separators. */
const reference = /(\$\$|\$\{[^}]*\}|\$\{)/;
const variable = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}$/;

type Piece = Readonly<{ value: string; redacted?: string; origin: Origin }>;

const written = (value: string): Piece => ({ value, origin: 'written' });

/**
 * Replaces the variables in a string: `${VAR}`, `${VAR:-default}`, and `$$` for a dollar. As in a shell, `:-` also
 * applies to an empty variable. Replaced values are not searched again, and variables do not nest.
 */
export function substitute(text: string, env: Environment): Substituted {
  const problems: string[] = [];
  const pieces = text.split(reference).map((piece, index) => {
    if (index % 2 === 0) return written(piece);
    return piece === '$$' ? written('$') : readVariable(piece, env, problems);
  });
  const origins = new Set(pieces.map(({ origin }) => origin));
  return {
    text: pieces.map(({ value }) => value).join(''),
    redacted: pieces.map(({ value, redacted }) => redacted ?? value).join(''),
    origin: (['default', 'variable'] as const).find((origin) => origins.has(origin)) ?? 'written',
    problems,
  };
}

function readVariable(whole: string, env: Environment, problems: string[]): Piece {
  const [, name, fallback] = variable.exec(whole) ?? [];
  // The default in `${A:-${B}}` would end at the first brace.
  if (name === undefined || fallback?.includes('${')) {
    problems.push(`malformed variable: write "\${NAME}", "\${NAME:-default}", or "$$" for a dollar; they do not nest`);
    return written('');
  }
  const value = env[name];
  if (value) return { value, redacted: whole, origin: fallback ? 'default' : 'variable' };
  if (fallback !== undefined) return { value: fallback, origin: 'default' };
  if (value === undefined) {
    problems.push(`the variable ${name} is not set, and has no default ("\${${name}:-default}")`);
  }
  return { value: '', origin: 'variable' };
}
