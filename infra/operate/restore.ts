import { existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, runCommand } from './command.ts';
import { databaseNames } from './databases.ts';
import { run } from './place.ts';

// `npm run restore -- [--compose] [--replace] DIRECTORY`: restores what `npm run backup` wrote. `--replace` allows it
// to replace data.

await runCommand('restore', async ({ directory, place, replace }) => {
  run('sh', ['-c', 'cd "$0" && sha256sum --check --strict --quiet SHA256SUMS', directory]);
  restoreKeys(join(directory, 'keys.tar.gz'), place.keys.root);
  await place.prepare();
  if (!replace && hasData(place)) throw new Error('data already exists. To replace it with the backup, add --replace');
  place.stop();
  for (const name of databaseNames) place.load(`${place.prefix}_${name}`, join(directory, `${name}.dump`));
  place.unpackAttachments(join(directory, 'attachments.tar'));
  process.stdout.write(`Restored: ${directory}\n${place.start()}`);
});

function hasData({ ask, prefix }: Command['place']): boolean {
  const auth = `${prefix}_auth`;
  const isMigrated = ask(auth, "select to_regclass('public.tenants') is not null") === 't';
  return isMigrated && ask(auth, 'select exists (select from tenants)') === 't';
}

/**
 * Restores keys to their original locations.
 *
 * @throws Error if a different key is there.
 */
function restoreKeys(archive: string, root: Command['place']['keys']['root']): void {
  const unpacked = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
  try {
    run('tar', ['-xz', '-C', unpacked], { from: archive });
    const files = globSync('**', { cwd: unpacked }).filter((file) => statSync(join(unpacked, file)).isFile());
    const differs = (file: string) =>
      existsSync(join(root, file)) && !readFileSync(join(root, file)).equals(readFileSync(join(unpacked, file)));
    const different = files.filter(differs);
    if (different.length > 0)
      throw new Error(`${root} has other keys or settings. Move these away first: ${different.join(', ')}`);
    mkdirSync(root, { recursive: true, mode: 0o700 });
    // Keeps modes, and owners if root runs this.
    run('cp', ['-a', '-t', root, ...readdirSync(unpacked).map((name) => join(unpacked, name))]);
  } finally {
    rmSync(unpacked, { recursive: true });
  }
}
