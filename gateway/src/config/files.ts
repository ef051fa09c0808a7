import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { ConfigError } from '@countersign/service-kit';
import { maxBytes, tooLarge } from './yaml/yaml.ts';

/** A file of a configuration, with the SHA-256 of its content in hex. */
export type FileRead = Readonly<{ path: string; hash: string }>;

export const hashOf = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Whether this is a hash, not the reason why {@link readAgain} failed. */
export const isHash = (hash: string): boolean => /^[0-9a-f]{64}$/.test(hash);

/**
 * @param file The path, and the name of the file in problems.
 * @throws ConfigError for a file that is missing, unreadable, too large or not UTF-8.
 */
export function readConfigFile(file: string): string {
  let bytes: Buffer;
  try {
    const stats = statSync(file);
    // Before reading: a disk image would fill the memory, and /dev/zero has no end.
    if (stats.size > maxBytes) throw new ConfigError([`${file}:1:1: ${tooLarge}`]);
    if (stats.isCharacterDevice()) throw new ConfigError([`${file}: is a device, not a file`]);
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`]);
  }
  try {
    // The byte order mark stays, so that the hash is that of the file.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ConfigError([`${file}:1:1: is not UTF-8`]);
  }
}

const maxNamedBytes = 1024 * 1024;

/**
 * Reads a file that a configuration names, such as keys, certificates or a secret.
 *
 * @throws Error with a `code`, such as `EFBIG` for a device or a file over 1 MiB.
 */
export function readNamedFile(path: string): Buffer {
  const stats = statSync(path);
  if (stats.isCharacterDevice() || stats.size > maxNamedBytes) {
    throw Object.assign(new Error(`${path} is too large`), { code: 'EFBIG' });
  }
  return readFileSync(path);
}

/** @param error From {@link readNamedFile}. */
export const whyUnreadable = (error: unknown): string =>
  `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`;

/** Hashes a file again. If it cannot be read, `hash` is the reason, so that one failure is not reported twice. */
export async function readAgain({ path }: FileRead): Promise<FileRead> {
  try {
    const stats = await stat(path);
    const isTooLarge = stats.isCharacterDevice() || stats.size > maxBytes;
    return { path, hash: isTooLarge ? tooLarge : hashOf(await readFile(path)) };
  } catch (error) {
    return { path, hash: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}
