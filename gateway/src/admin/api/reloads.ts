import { z } from 'zod';
import { byName, combine, earliest, sum, worst } from './merge.ts';
import { since, sinceOf, time, timeOf } from './values.ts';
import { defineView } from './view.ts';

const keyChange = z.object({ key: z.string(), before: z.string().nullable(), after: z.string().nullable() });
const reload = z
  .object({
    at: time,
    result: z.enum(['applied', 'refused']),
    hash: z.string().nullable().describe('The SHA-256 of the file. Null: it cannot be read.'),
    problems: z.array(z.string()).describe('Each as file:line:column: the problem.'),
    changed_routes: z.int().nullable().describe('Null: refused, or not compared yet.'),
    changes: z
      .array(z.object({ route: z.string(), change: z.enum(['added', 'removed', 'changed']), keys: z.array(keyChange) }))
      .describe('The first 100 routes that differ.'),
  })
  .meta({ id: 'Reload' });

const reloadList = z.object({
  file: z.string(),
  state: since.describe('Whether the file on disk is the configuration in force.'),
  in_force: z.array(z.object({ hash: z.string(), loaded: time, processes: z.int() })),
  reloads: z.array(reload),
});

export const reloadsView = defineView({
  path: '/reloads',
  operationId: 'listReloads',
  tag: 'State',
  summary: 'The configuration in force, and the last ten reloads with their problems and changes',
  response: reloadList,
  read({ current, reloadState, reloads, states, startedAtMs }) {
    const { file, hash } = current().config;
    return {
      file,
      state: sinceOf(states.of('configuration', ''), 'in force', startedAtMs),
      in_force: [{ hash, loaded: timeOf(reloadState().loadedAtMs), processes: 1 }],
      reloads: reloads.all().map(({ atMs, result, hash: of, problems, changes, changed }) => ({
        at: timeOf(atMs),
        result,
        hash: of ?? null,
        problems: [...problems],
        changed_routes: changes === undefined ? null : changed,
        changes: (changes ?? []).map(({ route, change, keys }) => ({
          route,
          change,
          keys: keys.map(({ key, before, after }) => ({ key, before: before ?? null, after: after ?? null })),
        })),
      })),
    };
  },
  merge: combine({
    state: worst(['in force', 'refused']),
    in_force: byName(({ hash }) => hash, combine({ loaded: earliest, processes: sum })),
    // Every worker reads the same file. A worker that started later has seen fewer reloads than the one shown.
    reloads: (lists) => lists.toSorted((a, b) => b.length - a.length)[0] ?? [],
  }),
});
