import { createHash } from 'node:crypto';
import type { Environment } from '@countersign/process-kit';
import type { Source } from '@countersign/strict-yaml';
import type { z } from 'zod';
import type { FlatFile } from './route-groups.ts';

const withoutDefault = /(:?)\$\{([A-Za-z_]\w*)\}/g;
// Ends at the next variable, so that many unclosed ones take linear time.
const withDefault = /\$\{([A-Za-z_]\w*):-((?:(?!\$\{)[^}])+)\}/g;

const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex');

/** Different names have different words, and equal names the same word in every file. */
function wordOf(name: string): string {
  const isPlain = /^[A-Z][A-Z0-9_]{0,50}$/.test(name);
  const word = name.toLowerCase().replaceAll('_', '-').replace(/^-/, 'v-').slice(0, 50);
  return isPlain ? word : `${word}-${hashOf(name).slice(0, 8)}`;
}

/** Values for one variable, in the order in which they are tried. A duration and a size fit the bounds of every key. */
function candidatesFor(name: string): readonly string[] {
  const word = wordOf(name);
  const port = String(20_000 + (Number.parseInt(hashOf(name).slice(0, 8), 16) % 40_000));
  const url = `https://${word}.invalid`;
  const others = ['1m', '1MiB', '192.0.2.0/24', `redis://${word}.invalid`, 'https', '1', '10', '60'];
  return [word, port, url, `/${word}`, `127.0.0.1:${port}`, ...others];
}

/**
 * Stands in for the environment of a file that is read without it. A variable has its default, and otherwise a
 * placeholder that its place in the file accepts. The same variable has the same placeholder in two files.
 */
export class Placeholders {
  /** The variables that the file uses. */
  readonly used = new Set<string>();
  /** Those of them that have a placeholder. */
  readonly standIns = new Set<string>();
  readonly env: Environment;
  readonly #values = new Map<string, string>();
  readonly #untried = new Map<string, string[]>();

  /** @param given Values that are known. */
  constructor(text: string, given: Environment = {}) {
    for (const [, colon, name = ''] of text.matchAll(withoutDefault)) {
      const [word = '', port = '', ...others] = candidatesFor(name);
      // In `http://host:${PORT}`, only a number fits.
      const [first, ...rest] = colon === '' ? [word, port, ...others] : [port, word, ...others];
      if (!this.#values.has(name) || colon !== '') this.#values.set(name, first);
      this.#untried.set(name, rest);
    }
    const defaults = new Map(Array.from(text.matchAll(withDefault), ([, name = '', value = '']) => [name, value]));
    for (const [name, value] of defaults) if (this.#values.has(name)) this.#values.set(name, value);
    const read = (name: string): string | undefined => {
      this.used.add(name);
      const known = given[name];
      if (known === undefined && this.#values.has(name) && !defaults.has(name)) this.standIns.add(name);
      return known ?? this.#values.get(name);
    };
    this.env = new Proxy({}, { get: (_, name) => read(String(name)) });
  }

  /** Tries another value for each variable in a text that the schema refused. @returns Whether any value changed. */
  revise(issues: readonly z.core.$ZodIssue[], source: Source, flat: FlatFile): boolean {
    // A variable may stand at many places.
    const revised = new Set<string>();
    for (const issue of issues) {
      const text = source.redactedAt(flat.pathInFile(issue.path as (string | number)[]));
      // An enum names its values.
      const allowed = issue.code === 'invalid_value' ? issue.values.map(String) : [];
      for (const [, , name = ''] of text.matchAll(withoutDefault)) {
        const untried = revised.has(name) ? [] : (this.#untried.get(name) ?? []);
        const next = untried.length === 0 ? undefined : (allowed[0] ?? untried[0]);
        if (next === undefined) continue;
        this.#untried.set(name, allowed.length > 0 ? [] : untried.slice(1));
        this.#values.set(name, next);
        revised.add(name);
      }
    }
    return revised.size > 0;
  }
}
