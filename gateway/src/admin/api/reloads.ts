import { z } from 'zod';
import { reload } from '../observe/reload-log.ts';
import { byName, combine, earliest, sum, worst } from './merge.ts';
import { since, sinceOf, time, timeOf } from './values.ts';
import { defineView } from './view.ts';

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
      reloads: [...reloads.all()],
    };
  },
  merge: combine({
    state: worst(['in force', 'refused']),
    in_force: byName(({ hash }) => hash, combine({ loaded: earliest, processes: sum })),
    // Every worker reads the same file. A worker that started later has seen fewer reloads than the one shown.
    reloads: (lists) => lists.toSorted((a, b) => b.length - a.length)[0] ?? [],
  }),
});
