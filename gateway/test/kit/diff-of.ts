import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadWithoutFiles } from '../../src/config/load.ts';
import { compareAccess } from '../../src/diff/compare.ts';
import { compareSettings } from '../../src/diff/settings.ts';

const directory = mkdtempSync(join(tmpdir(), 'countersign-diff-'));

/** Compares two configurations like `countersign diff`. Each is an object or the text of a file. */
export function diffOf(before: unknown, after: unknown) {
  const [old, now] = [before, after].map((config, side) => {
    const file = join(directory, `${side}.yaml`);
    writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
    return loadWithoutFiles(file);
  }) as [ReturnType<typeof loadWithoutFiles>, ReturnType<typeof loadWithoutFiles>];
  const { access, pairs } = compareAccess(old, now, Date.parse('2027-01-15T08:00:00Z'));
  const settings = compareSettings(old, now, { access, pairs });
  const isWider = [...access, ...settings].some(({ effect }) => effect === 'wider' || effect === 'unknown');
  return { access, settings, isWider };
}
