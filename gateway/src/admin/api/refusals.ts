import { z } from 'zod';
import { type Code, errorTable } from '../../errors.ts';
import { noRouteName } from '../../metrics/refusal-counts.ts';
import { byName, combine, latest, newestFirst, type Rule, sum } from './merge.ts';
import { count, time, timeOf } from './values.ts';
import { defineView } from './view.ts';

const refusal = z
  .object({
    route: z.string().nullable().describe('Null: no route matched.'),
    code: z.string(),
    fault: z.string(),
    status: z.int(),
    title: z.string(),
    count: count.describe('Since the process started.'),
    last: time,
  })
  .meta({ id: 'Refusal' });
type Refusal = z.output<typeof refusal>;

const refusalList = z.object({ refusals: z.array(refusal) });

const maxRefusals = 500;

export const refusalsView = defineView({
  path: '/refusals',
  operationId: 'listRefusals',
  tag: 'Traffic',
  summary: 'Refusals by route and code, with the time of the last one, newest first',
  response: refusalList,
  read: ({ traffic: { refusals } }) => ({
    refusals: newest(
      [...refusals.routes()].flatMap(([route, codes]) =>
        [...codes].map(([code, { count: number, lastMs }]) => ({
          route: route === noRouteName ? null : route,
          code,
          ...meaningOf(code),
          count: number,
          last: timeOf(lastMs),
        })),
      ),
    ),
  }),
  merge: combine({ refusals: (lists) => newest(mergeRefusals(lists)) }),
});

const newest = (refusals: readonly Refusal[]): Refusal[] =>
  refusals.toSorted(newestFirst('last')).slice(0, maxRefusals);

const mergeRefusals: Rule<Refusal[]> = byName(
  ({ route, code }) => `${route ?? ''} ${code}`,
  combine({ count: sum, last: latest }),
);

/** The meaning of an error code, and whose fault it is. */
export function meaningOf(code: string): Pick<Refusal, 'fault' | 'status' | 'title'> {
  const { fault, status, title } = errorTable[code as Code] ?? errorTable.internal_error;
  return { fault, status, title };
}
