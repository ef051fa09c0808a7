import type { ValueSource } from '../../config/config.ts';
import { foundAt, type Payload, pathText, readPath, textsOf } from './claim-path.ts';
import { oneOfThese } from './finding.ts';

/**
 * A value read from a token, or why it could not be read. If values are mapped, `all` has every mapped value in the
 * token.
 */
export type Value = Readonly<{ text: string; all?: readonly string[] }> | Unread;

/**
 * `isList` means that the claim is a list, but a single text is expected. `missing` means that the token is
 * well-formed but lacks the claim, or has none of the map's values.
 */
export type Unread = Readonly<{
  claim: string;
  wanted: string;
  found: string;
  isList?: boolean;
  missing?: 'claim' | 'mapping';
}>;

/** Reads a role or a tenant. `variable` is the variable in the issuer's template. */
export type ReadValue = (payload: Payload, variable: string | undefined) => Value;

/** Compiles a source once, so that reading takes one lookup per value in the token. */
export function compileSource(source: ValueSource): ReadValue {
  switch (source.kind) {
    case 'constant': {
      const constant = { text: source.value };
      return () => constant;
    }
    case 'fromIssuer':
      return (_payload, variable) =>
        variable === undefined
          ? { claim: 'iss', wanted: 'a value for the variable of the template', found: 'nothing' }
          : { text: variable };
    case 'claim':
      return compileClaim(source.path);
    case 'mapped':
      return compileMap(source);
  }
}

function compileClaim(path: readonly string[]): ReadValue {
  const claim = pathText(path);
  const wanted = 'one text';
  return (payload) => {
    const read = readPath(payload, path);
    if (typeof read === 'object' && typeof read.value === 'string') return { text: read.value };
    const found = foundAt(read);
    if (read === 'absent') return { claim, wanted, found, missing: 'claim' };
    if (read === 'blocked') return { claim, wanted, found };
    return { claim, wanted, found, isList: Array.isArray(read.value) };
  };
}

function compileMap({ path, map, otherwise }: Extract<ValueSource, { kind: 'mapped' }>): ReadValue {
  const claim = pathText(path);
  const rank = new Map(map.map(([from], index) => [from, index]));
  const wantedType = 'a text, or a list of texts';
  const wanted = oneOfThese(rank.keys());
  const fallback = otherwise === undefined ? undefined : { text: otherwise };

  /** Follows the map's order. */
  function mapped(given: readonly string[]): Value | undefined {
    const ranks = new Set(given.flatMap((one) => rank.get(one) ?? []));
    const all = [...new Set([...ranks].sort((a, b) => a - b).map((at) => map[at]?.[1] ?? ''))];
    const [text] = all;
    return text === undefined ? fallback : { text, all };
  }

  return (payload) => {
    const read = readPath(payload, path);
    if (read === 'absent') return fallback ?? { claim, wanted, found: foundAt(read), missing: 'mapping' };
    const given = read === 'blocked' ? undefined : textsOf(read.value, path);
    if (given === undefined) return { claim, wanted: wantedType, found: foundAt(read) };
    return mapped(given) ?? { claim, wanted, found: foundAt(read), missing: 'mapping' };
  };
}
