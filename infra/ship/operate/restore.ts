import { join } from 'node:path';
import { readCommand, runCommand } from './command.ts';
import { restoreKeys } from './key-archives.ts';
import { databaseNames, type Place, run } from './place.ts';

// `npm run restore -- [--compose] [--replace] DIRECTORY`: restores what `npm run backup` wrote. `--replace` allows it
// to replace data.

await runCommand('restore', async () => {
  const { directory, place, replace } = readCommand();
  run('sh', ['-c', 'cd "$0" && sha256sum --check --strict --quiet SHA256SUMS', directory]);
  restoreKeys(directory, place.keys.root);
  await place.prepare();
  if (!replace && hasData(place)) throw new Error('data already exists. To replace it with the backup, add --replace');
  place.stop();
  for (const name of databaseNames) place.load(name, join(directory, `${name}.dump`));
  place.unpackAttachments(join(directory, 'attachments.tar'));
  process.stdout.write(`Restored: ${directory}\n${place.start()}`);
});

function hasData({ ask }: Place): boolean {
  const isMigrated = ask('auth', "select to_regclass('public.tenants') is not null") === 't';
  return isMigrated && ask('auth', 'select exists (select from tenants)') === 't';
}
