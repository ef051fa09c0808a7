import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, runCommand } from './command.ts';
import { databaseNames } from './databases.ts';
import { run } from './place.ts';

// `npm run backup -- [--compose] DIRECTORY`: writes databases, attachments and keys into a new directory. The services
// may run meanwhile.

await runCommand('backup', async ({ directory, place }) => {
  if (existsSync(directory)) throw new Error(`${directory} exists: name a new directory`);
  const partial = `${directory}.partial`;
  mkdirSync(partial, { mode: 0o700 });
  try {
    write(place, partial);
    renameSync(partial, directory);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  process.stdout.write(`Written: ${directory}\nStore keys.tar.gz separately: with the rest, it decrypts everything.\n`);
});

function write(place: Command['place'], to: string): void {
  // Dumps the databases first, so that the backup has every attachment of their complaints.
  for (const name of databaseNames) place.dump(`${place.prefix}_${name}`, join(to, `${name}.dump`));
  place.packAttachments(join(to, 'attachments.tar'));
  const { root, paths } = place.keys;
  const present = paths.filter((path) => existsSync(join(root, path)));
  run('tar', ['-cz', '-C', root, ...present], { to: join(to, 'keys.tar.gz') });
  run('sh', ['-c', 'cd "$0" && sha256sum * > SHA256SUMS', to]);
}
