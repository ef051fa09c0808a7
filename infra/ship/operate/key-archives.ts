import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type Place, run } from './place.ts';

/**
 * Packs the keys of a place into `keys.tar.gz`, and others into `other-keys.tar.gz`.
 *
 * @param others Absolute paths of files and directories.
 * @returns What the user must know.
 */
export function packKeys({ root, paths }: Place['keys'], others: readonly string[], directory: string): string {
  const present = paths.filter((path) => existsSync(join(root, path)));
  pack(root, present, join(directory, 'keys.tar.gz'));
  if (others.length > 0) pack('/', others, join(directory, 'other-keys.tar.gz'));
  if (present.length + others.length === 0)
    return `No keys are backed up: ${root} has none. Name those elsewhere with --keys PATH.`;
  const archives = others.length > 0 ? 'keys.tar.gz and other-keys.tar.gz' : 'keys.tar.gz';
  return `Store ${archives} separately: with the rest, it decrypts everything.`;
}

/** Follows links, because they may lead to keys that are elsewhere. */
function pack(root: string, paths: readonly string[], to: string): void {
  const names = paths.map((path) => relative(root, join(root, path)));
  run('tar', ['-czh', '-C', root, ...(names.length > 0 ? names : ['-T', '/dev/null'])], { to });
}

/**
 * Restores what {@link packKeys} packed to its original locations.
 *
 * @throws Error if a different key is there.
 */
export function restoreKeys(directory: string, root: string): void {
  unpack(join(directory, 'keys.tar.gz'), root);
  const others = join(directory, 'other-keys.tar.gz');
  if (existsSync(others)) unpack(others, '/');
}

function unpack(archive: string, root: string): void {
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
    // Keeps modes, and owners if root runs this. A directory may be a link to where its keys are.
    run('tar', ['-xzp', '-C', root, '--skip-old-files', '--keep-directory-symlink'], { from: archive });
  } finally {
    rmSync(unpacked, { recursive: true });
  }
}
