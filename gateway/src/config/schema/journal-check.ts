import { statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Refuse } from './cross-checks.ts';

type Journaled = Readonly<{
  journal?: string | undefined;
  issuers: readonly Readonly<{ events?: unknown }>[];
  listen: Readonly<{ events?: unknown }>;
}>;

/** The types of in-memory file systems (statfs(2)): tmpfs and ramfs. A restart of the machine loses their files. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Requires a journal on a disk if an issuer has events. */
export function checkJournal({ journal, issuers, listen }: Journaled, directory: string, refuse: Refuse): void {
  const hasEvents = issuers.some(({ events }) => events !== undefined);
  if (listen.events !== undefined && !hasEvents) refuse(['listen', 'events'], 'receives nothing: no issuer has events');
  if (journal === undefined) {
    if (hasEvents)
      refuse([], '"journal" is required with events: name a directory to store them in', { absent: 'journal' });
    return;
  }
  if (inMemory.has(typeOf(resolve(directory, journal)))) {
    refuse(
      ['journal'],
      'is in memory (tmpfs), so a restart of the machine would lose acknowledged events: name a disk',
    );
  }
}

/** Returns the file system type of a directory, or of the place where it would be created. */
function typeOf(path: string): number {
  try {
    return statfsSync(path).type;
  } catch {
    return path === dirname(path) ? 0 : typeOf(dirname(path));
  }
}
