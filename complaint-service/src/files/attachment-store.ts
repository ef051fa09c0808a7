import { createHash, randomUUID } from 'node:crypto';
import type { ReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type FileType, isWhole, startBytes, typeByStart } from '../domain/attachments/file-types.ts';
import { AppError } from '../errors.ts';
import { encodeAgain } from './image-encoder.ts';
import { createSlots, type Turn } from './slots.ts';

/** A received file in its final form, under a temporary name. */
export type ReceivedFile = Readonly<{
  type: FileType;
  bytes: number;
  /** SHA-256 hash of the received body, in hexadecimal. */
  digest: string;
  /** Only for images. */
  width: number | null;
  height: number | null;
  /** Renames the file to its final name, which is the id of its row. */
  keepAs(id: string): Promise<void>;
  /** Removes the temporary file, unless `keepAs` was called. */
  discard(): Promise<void>;
}>;

/** Stored files, named by the ids of their rows. The sender's file name is never part of a path. */
export type AttachmentStore = Readonly<{
  /**
   * Reads a body to its end. If this throws, it leaves nothing on disk.
   *
   * @throws AppError `payload_too_large`, `unsupported_file_type`, `unreadable_image`, `attachments_busy`,
   *   `unavailable` if the disk is full, or `invalid_request` if the client stops early. Nothing is then left on disk.
   */
  receive(body: Readable, maxBytes: number, turn: Turn): Promise<ReceivedFile>;
  /** Opens a stored file. Undefined if it does not exist. */
  open(id: string): Promise<ReadStream | undefined>;
  /** Removes a file, if it exists. */
  remove(id: string): Promise<void>;
  /** Removes abandoned uploads that last changed before `olderThanMs`, then yields the ids of stored files that did. */
  oldFiles(olderThanMs: number): AsyncIterable<string>;
}>;

const decoding = createSlots({ atOnce: 2, maxWaiting: 16, maxWaitMs: 10_000, perUser: 2, perTenant: 4 });
const mode = { directory: 0o700, file: 0o600 };

/** @param directory Shared by all instances of the service. */
export function createAttachmentStore(directory: string): AttachmentStore {
  const incoming = join(directory, 'incoming');
  // The last characters of a UUIDv7 are random, so the folders fill evenly.
  const pathOf = (id: string) => join(directory, 'files', id.slice(-2), id);

  return {
    async receive(body, maxBytes, turn) {
      await mkdir(incoming, { recursive: true, mode: mode.directory });
      const raw = join(incoming, randomUUID());
      const encoded = `${raw}.image`;
      try {
        const { type, bytes, digest } = await writeBody(body, raw, maxBytes);
        if (type.kind === 'document') {
          if (!isWhole(type, await readFile(raw))) throw new AppError('unsupported_file_type');
          return received(raw, { type, bytes, digest, width: null, height: null });
        }
        const image = await decoding(turn, () => encodeAgain(raw, encoded, type));
        await rm(raw);
        return received(encoded, { type, digest, ...image });
      } catch (error) {
        await Promise.all([rm(raw, { force: true }), rm(encoded, { force: true })]);
        throw outageOf(error);
      }
    },
    async open(id) {
      return (await unlessMissing(open(pathOf(id))))?.createReadStream();
    },
    remove: (id) => rm(pathOf(id), { force: true }),
    async *oldFiles(olderThanMs) {
      for (const path of await namesIn(incoming)) {
        if ((await changedAtMs(path)) < olderThanMs) await rm(path, { force: true });
      }
      for (const shard of await namesIn(join(directory, 'files'))) {
        for (const path of await namesIn(shard)) if ((await changedAtMs(path)) < olderThanMs) yield basename(path);
      }
    },
  };

  function received(path: string, file: Omit<ReceivedFile, 'keepAs' | 'discard'>): ReceivedFile {
    return {
      ...file,
      async keepAs(id) {
        try {
          await mkdir(dirname(pathOf(id)), { recursive: true, mode: mode.directory });
          await flush(path);
          await rename(path, pathOf(id));
          await flush(dirname(pathOf(id)));
        } catch (error) {
          throw outageOf(error);
        }
      },
      discard: () => rm(path, { force: true }),
    };
  }
}

/** Writes a body to a new file. Checks its type as soon as the first bytes arrive. */
async function writeBody(
  body: Readable,
  path: string,
  maxBytes: number,
): Promise<Pick<ReceivedFile, 'type' | 'bytes' | 'digest'>> {
  const file = await open(path, 'wx', mode.file);
  try {
    let start = Buffer.alloc(0);
    let type: FileType | undefined;
    let bytes = 0;
    const hash = createHash('sha256');
    for await (const chunk of chunksOf(body)) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new AppError('payload_too_large');
      if (start.length < startBytes) {
        start = Buffer.concat([start, chunk.subarray(0, startBytes)]);
        type = start.length < startBytes ? undefined : detectType(start);
      }
      hash.update(chunk);
      await file.appendFile(chunk);
    }
    return { type: type ?? detectType(start), bytes, digest: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

/** Once the disk has space again, the same upload succeeds. */
function outageOf(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' ? new AppError('unavailable', { cause: error }) : error;
}

/** Does not destroy a request that is refused before its end, because the response uses the same socket. */
async function* chunksOf(body: Readable): AsyncIterable<Buffer> {
  try {
    yield* body.iterator({ destroyOnReturn: false });
  } catch (cause) {
    throw new AppError('invalid_request', { cause, detail: { reason: 'the body ended early' } });
  }
}

function detectType(start: Buffer): FileType {
  const type = typeByStart(start);
  if (type === undefined) throw new AppError('unsupported_file_type');
  return type;
}

/** Flushes a file or directory to disk, so that a row never refers to a file that a power failure destroyed. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return ((await unlessMissing(readdir(directory))) ?? []).map((name) => join(directory, name));
}

/** Infinity if another instance has removed the file meanwhile. */
async function changedAtMs(path: string): Promise<number> {
  return (await unlessMissing(stat(path)))?.mtimeMs ?? Number.POSITIVE_INFINITY;
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
