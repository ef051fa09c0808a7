import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { ConfigError } from '@countersign/service-kit';
import { maxBytes, tooLarge } from './yaml/yaml.ts';

/** A file that a configuration was read from, and the SHA-256 of what it held, hex. */
export type FileRead = Readonly<{ path: string; hash: string }>;

export const hashOf = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Rather than why a file could not be read. */
export const isHash = (hash: string): boolean => /^[0-9a-f]{64}$/.test(hash);

/**
 * @param file As problems shall name it.
 * @throws ConfigError when it is not there, cannot be read, is too large or is not UTF-8.
 */
export function readConfigFile(file: string): string {
  let bytes: Buffer;
  try {
    const stats = statSync(file);
    // Before it is read: what is somebody's disk image, or has no end as /dev/zero, shall not become our memory.
    if (stats.size > maxBytes) throw new ConfigError([`${file}:1:1: ${tooLarge}`]);
    if (stats.isCharacterDevice()) throw new ConfigError([`${file}: is a device, not a file`]);
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`]);
  }
  try {
    // A byte order mark stays, so that the hash is that of the file.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ConfigError([`${file}:1:1: is not UTF-8`]);
  }
}

const maxNamedBytes = 1024 * 1024;

/**
 * Reads a file that a configuration names: keys, certificates, a secret.
 *
 * @throws Error with a `code`, `EFBIG` where it is larger than 1 MiB or has no end, as /dev/zero.
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

/** The same file as it is now. Where it cannot be read its hash is why: a reason is not read twice either. */
export async function readAgain({ path }: FileRead): Promise<FileRead> {
  try {
    const stats = await stat(path);
    const isTooLarge = stats.isCharacterDevice() || stats.size > maxBytes;
    return { path, hash: isTooLarge ? tooLarge : hashOf(await readFile(path)) };
  } catch (error) {
    return { path, hash: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}
