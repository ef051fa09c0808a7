import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { ConfigError } from '@countersign/service-kit';
import { maxBytes, tooLarge } from '@countersign/strict-yaml';

/** A file that a configuration uses, with the SHA-256 of its content in hex. */
export type FileRead = Readonly<{ path: string; hash: string }>;

export const hashOf = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Whether the text is a hash, and not the reason why {@link readAgain} failed. */
export const isHash = (hash: string): boolean => /^[0-9a-f]{64}$/.test(hash);

/**
 * @param file The path, which also names the file in error messages. `-` is standard input.
 * @throws ConfigError if the file is missing, unreadable, too large or not UTF-8.
 */
export function readConfigFile(file: string): string {
  let bytes: Buffer;
  try {
    bytes = file === '-' ? readFileSync(0) : readNamedFile(file, maxBytes);
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'EFBIG';
    throw new ConfigError([isTooLarge ? `${file}:1:1: ${tooLarge}` : `${file}: ${whyUnreadable(error)}`]);
  }
  try {
    // Keeps the byte order mark, so that the hash matches the file.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ConfigError([`${file}:1:1: is not UTF-8`]);
  }
}

/**
 * Reads a file that a configuration names, such as keys, certificates or a secret.
 *
 * @throws Error with a `code`: `EFBIG` if the file is too large, or `not a file` for a device.
 */
export function readNamedFile(path: string, largest = 1024 * 1024): Buffer {
  // Checked before reading: a disk image would fill the memory, and /dev/zero never ends.
  const stats = statSync(path);
  const code = stats.size > largest ? 'EFBIG' : stats.isCharacterDevice() ? 'not a file' : undefined;
  if (code !== undefined) throw Object.assign(new Error(`${path} is not a regular file`), { code });
  return readFileSync(path);
}

export const whyUnreadable = (error: unknown): string =>
  `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`;

/** Hashes a file again. If the file cannot be read, `hash` is the reason, so that one failure is reported once. */
export async function readAgain({ path }: FileRead): Promise<FileRead> {
  try {
    const stats = await stat(path);
    const isTooLarge = stats.isCharacterDevice() || stats.size > maxBytes;
    return { path, hash: isTooLarge ? tooLarge : hashOf(await readFile(path)) };
  } catch (error) {
    return { path, hash: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}
