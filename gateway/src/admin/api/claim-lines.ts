import type { Scalar } from '../../config/config.ts';

type Claims = Readonly<Record<string, readonly Scalar[]>>;

/**
 * Reads claims from lines of the form `name: value`. A value is a JSON scalar, or else a text. A claim with several values has several lines.
 *
 * @returns Undefined if a line has another form.
 */
export function parseClaimLines(text: string): Claims | undefined {
  const claims: Record<string, readonly Scalar[]> = Object.create(null);
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') continue;
    // The name of a claim may be a URL.
    const [, name, value] = /^\s*([^\s"\\]{1,128}):\s+(\S.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    claims[name] = [...(claims[name] ?? []), scalarOf(value.trimEnd())];
  }
  return claims;
}

/** Writes claims so that {@link parseClaimLines} reads them. */
export const claimLines = (claims: Claims): string =>
  Object.entries(claims)
    .flatMap(([name, values]) => values.map((value) => `${name}: ${textOf(value)}`))
    .join('\n');

const isPlain = (text: string): boolean => /^\S(?:.*\S)?$/.test(text) && scalarOf(text) === text;

/** A text that would be read as something else is written in quotes. */
const textOf = (value: Scalar): string => (typeof value === 'string' && isPlain(value) ? value : JSON.stringify(value));

function scalarOf(text: string): Scalar {
  if (!/^(?:true|false|-?\d[\d.eE+-]*|".*")$/.test(text)) return text;
  try {
    return JSON.parse(text) as Scalar;
  } catch {
    return text;
  }
}
