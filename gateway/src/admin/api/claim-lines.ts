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

function scalarOf(text: string): Scalar {
  if (!/^(?:true|false|-?\d[\d.eE+-]*|".*")$/.test(text)) return text;
  try {
    return JSON.parse(text) as Scalar;
  } catch {
    return text;
  }
}
