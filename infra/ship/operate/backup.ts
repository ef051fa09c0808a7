import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readCommand, runCommand } from './command.ts';
import { packKeys } from './key-archives.ts';
import { databaseNames, run } from './place.ts';

// `npm run backup -- [--compose] [--keys PATH]... DIRECTORY`: writes databases, attachments and keys into a new
// directory. The services may run meanwhile.

await runCommand('backup', async () => {
  const { directory, place, keys } = readCommand();
  if (existsSync(directory)) throw new Error(`${directory} exists: name a new directory`);
  const partial = `${directory}.partial`;
  mkdirSync(partial, { mode: 0o700 });
  try {
    // Dumps the databases first, so that the backup has every attachment of their complaints.
    for (const name of databaseNames) place.dump(name, join(partial, `${name}.dump`));
    place.packAttachments(join(partial, 'attachments.tar'));
    const advice = packKeys(place.keys, keys, partial);
    run('sh', ['-c', 'cd "$0" && sha256sum * > SHA256SUMS', partial]);
    renameSync(partial, directory);
    process.stdout.write(`Written: ${directory}\n${advice}\n`);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
});
