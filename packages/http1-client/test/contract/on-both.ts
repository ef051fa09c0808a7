import { format } from 'node:util';
import { expect, test } from '@jest/globals';
import type { ClientName } from './open-client.ts';

/** Like Jest's `test`, but runs once for each upstream client. */
export type ContractTest = ((title: string, body: () => unknown) => void) &
  Readonly<{
    each<Row extends readonly unknown[]>(rows: readonly Row[]): (title: string, body: (...row: Row) => unknown) => void;
    /** Returns the upstream client of the running case. */
    client(): ClientName;
  }>;

// A case that undici fails may hang. Our own client needs less than 0.5 s for each of them.
const failsWithinMs = 3_000;

/**
 * Runs each case with our own upstream client, and in the nightly suite with undici.
 *
 * @param failsOnUndici The cases that undici fails. If undici passes one, the suite fails, so the list can only
 *   shrink.
 */
export function onBoth(failsOnUndici: readonly string[]): ContractTest {
  const titles = new Set<string>();
  let client: ClientName = 'own';
  const caseFor = (name: ClientName, body: () => unknown) => async () => {
    client = name;
    await body();
  };
  const one = (title: string, body: () => unknown) => {
    titles.add(title);
    if (!process.env.NIGHTLY) test(`${title} (own)`, caseFor('own', body));
    else if (failsOnUndici.includes(title))
      test.failing(`${title} (fails: undici)`, caseFor('undici', body), failsWithinMs);
    else test(`${title} (undici)`, caseFor('undici', body));
  };
  const each: ContractTest['each'] = (rows) => (title, body) => {
    const placeholders = title.match(/%[sij]/g)?.length ?? 0;
    for (const [index, row] of rows.entries())
      one(format(title.replace('%#', String(index)), ...row.slice(0, placeholders)), () => body(...row));
  };
  test('lists no undici failure that does not exist', () => {
    expect(failsOnUndici.filter((title) => !titles.has(title))).toEqual([]);
  });
  return Object.assign(one, { each, client: () => client });
}
