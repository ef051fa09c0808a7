import { foldHeaderName } from '@countersign/identity';

/** Turns alternating names and values into an object, as `writeHead` takes it. */
export function headersFrom(flat: readonly string[] = []): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
  return headers;
}

/** Copies alternating names and values, but for the headers with these folded names. */
export function withoutHeaders(flat: readonly string[], folded: ReadonlySet<string>): string[] {
  return flat.filter((_, at) => !folded.has(foldHeaderName(flat[at - (at % 2)] ?? '')));
}
