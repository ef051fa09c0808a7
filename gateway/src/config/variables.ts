import type { Environment } from '@countersign/service-kit';

/** Where a string's text came from: secrets must come from `variable`. */
export type Origin = 'written' | 'variable' | 'default';

export type Substituted = Readonly<{ text: string; origin: Origin; problems: readonly string[] }>;

const reference = /\$\$|\$\{([^}]*)\}|\$\{/g;
const body = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Puts variables into one string: `${VAR}`, `${VAR:-default}`, and `$$` for a dollar. A variable that is set but empty is
 * empty; `:-` gives its default then too, as in a shell. What is put in is not looked at again.
 */
export function substitute(text: string, env: Environment): Substituted {
  const problems: string[] = [];
  let origin: Origin = 'written';
  const replaced = text.replace(reference, (whole, inside: string | undefined) => {
    if (whole === '$$') return '$';
    const [, name, fallback] = body.exec(inside ?? '') ?? [];
    if (name === undefined) {
      problems.push(`malformed variable: write "\${NAME}", "\${NAME:-default}", or "$$" for a dollar`);
      return '';
    }
    const value = env[name];
    if (value !== undefined && value !== '') {
      if (origin === 'written') origin = 'variable';
      return value;
    }
    if (fallback !== undefined) {
      origin = 'default';
      return fallback;
    }
    if (value === undefined)
      problems.push(`the variable ${name} is not set, and has no default ("\${${name}:-default}")`);
    if (origin === 'written') origin = 'variable';
    return '';
  });
  return { text: replaced, origin, problems };
}
