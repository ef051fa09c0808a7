import { statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Refuse } from './cross-checks.ts';

type Journaled = Readonly<{
  journal?: string | undefined;
  issuers: readonly Readonly<{ events?: unknown }>[];
  listen: Readonly<{ events?: unknown }>;
}>;

/** File systems in memory (statfs(2)): tmpfs and ramfs. What is written there is lost with the machine. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Requires a journal for events, on a disk. */
export function checkJournal({ journal, issuers, listen }: Journaled, directory: string, refuse: Refuse): void {
  const hasEvents = issuers.some(({ events }) => events !== undefined);
  if (listen.events !== undefined && !hasEvents) refuse(['listen', 'events'], 'receives nothing: no issuer has events');
  if (journal === undefined) {
    if (hasEvents)
      refuse([], '"journal" is required with events: the directory in which they are kept', { absent: 'journal' });
    return;
  }
  if (inMemory.has(typeOf(resolve(directory, journal)))) {
    refuse(
      ['journal'],
      'is in memory (tmpfs), so a restart of the machine would lose acknowledged events: name a disk',
    );
  }
}

/** The type of the file system on which a directory is, or would be created. */
function typeOf(path: string): number {
  try {
    return statfsSync(path).type;
  } catch {
    return path === dirname(path) ? 0 : typeOf(dirname(path));
  }
}
