import type { IssuerPieces } from './issuers.ts';

const variable = /^\{([A-Za-z][A-Za-z0-9_]{0,31})\}$/;
const variableValue = /^[A-Za-z0-9-]{1,64}$/;

/** The variables of an issuer. Undefined: braces stand elsewhere than around one whole segment of the path. */
export function variablesIn(issuer: string): readonly string[] | undefined {
  const [, , , ...segments] = issuer.split('/');
  const found = segments.flatMap((segment) => variable.exec(segment)?.[1] ?? []);
  const rest = issuer.replace(/\/\{[A-Za-z][A-Za-z0-9_]{0,31}\}(?=\/|$)/g, '');
  return /[{}]/.test(rest) || found.length > 1 ? undefined : found;
}

/** A segment of an issuer, and the texts that can stand there. Undefined: any value of a variable. */
type TemplateSegment = ReadonlySet<string> | undefined;

/** Whether one `iss` could belong to both. */
export function overlaps(a: IssuerPieces, b: IssuerPieces): boolean {
  if (a.issuer === undefined || b.issuer === undefined) return false;
  const ours = segmentsOf(a.issuer, a.template);
  const theirs = segmentsOf(b.issuer, b.template);
  return ours.length === theirs.length && ours.every((segment, index) => meet(segment, theirs[index]));
}

function segmentsOf(issuer: string, template: IssuerPieces['template']): readonly TemplateSegment[] {
  return issuer.split('/').map((segment) => {
    const name = variable.exec(segment)?.[1];
    if (name === undefined || template === undefined) return new Set([segment]);
    const values = template[name];
    return values === undefined || values === 'any' ? undefined : new Set(values);
  });
}

function meet(a: TemplateSegment, b: TemplateSegment): boolean {
  if (a === undefined && b === undefined) return true;
  if (a === undefined) return [...(b ?? [])].some((text) => variableValue.test(text));
  if (b === undefined) return meet(b, a);
  return [...a].some((text) => b.has(text));
}
