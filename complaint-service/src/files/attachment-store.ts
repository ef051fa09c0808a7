import { createHash, randomUUID } from 'node:crypto';
import type { ReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import sharp from 'sharp';
import {
  type FileType,
  isWhole,
  maxImagePixels,
  maxImageSide,
  startBytes,
  typeByStart,
} from '../domain/attachments/file-types.ts';
import { AppError } from '../errors.ts';
import { createSlots, type Turn } from './slots.ts';

// Only these decoders can run. Otherwise the content could make libvips choose SVG, PDF, TIFF or others.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer', 'VipsForeignLoadWebpBuffer'] });
sharp.cache(false);
sharp.concurrency(1);

const timeoutSec = 15;
const quality = 85;

type EncodedImage = Readonly<{ data: Buffer; width: number; height: number }>;

/**
 * Decodes an image and encodes it as the same type: upright, at most {@link maxImageSide} pixels on each side, in sRGB,
 * one frame, without metadata such as the location. Hidden bytes in the original are lost. Reads and writes no file, so
 * that an error is always about the image: libvips reports a full disk only as text.
 *
 * @throws AppError `unreadable_image` if the image is damaged, too large, or takes too long.
 */
async function encodeAgain(original: Buffer, { mediaType }: FileType): Promise<EncodedImage> {
  const image = sharp(original, { limitInputPixels: maxImagePixels, failOn: 'error', sequentialRead: true })
    .timeout({ seconds: timeoutSec })
    .autoOrient()
    .resize({ width: maxImageSide, height: maxImageSide, fit: 'inside', withoutEnlargement: true });
  const encoded = { 'image/png': () => image.png(), 'image/webp': () => image.webp({ quality }) }[mediaType as string];
  try {
    const { data, info } = await (encoded?.() ?? image.jpeg({ quality })).toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  } catch (cause) {
    throw new AppError('unreadable_image', { cause });
  }
}

/** What is known of a body once it was read. `digest` is the SHA-256 hash of the body, in hexadecimal. */
type Written = Readonly<{ type: FileType; bytes: number; digest: string }>;

export type AttachmentStore = ReturnType<typeof createAttachmentStore>;
export type ReceivedFile = Awaited<ReturnType<AttachmentStore['receive']>>;

const decoding = createSlots({ atOnce: 2, maxWaiting: 16, maxWaitMs: 10_000, perUser: 2, perTenant: 4 });
const mode = { directory: 0o700, file: 0o600 };

/**
 * Stored files, named by the ids of their rows. The sender's file name is never part of a path. Whatever the disk
 * refuses, such as when it is full, read-only or broken, is AppError `unavailable`.
 *
 * @param directory Shared by all instances of the service.
 */
export function createAttachmentStore(directory: string) {
  const incoming = join(directory, 'incoming');
  // The last characters of a UUIDv7 are random, so the folders fill evenly.
  const pathOf = (id: string) => join(directory, 'files', id.slice(-2), id);

  return {
    /**
     * Reads a body to its end.
     *
     * @throws AppError `payload_too_large`, `unsupported_file_type`, `unreadable_image`, `attachments_busy`, or
     *   `invalid_request` if the client stops early. Nothing is then left on a disk that can be written.
     */
    async receive(body: Readable, maxBytes: number, turn: Turn) {
      const path = join(incoming, randomUUID());
      try {
        await onDisk(() => mkdir(incoming, { recursive: true, mode: mode.directory }));
        const { type, bytes, digest } = await writeBody(body, path, maxBytes);
        if (type.kind === 'document') {
          if (!isWhole(type, await onDisk(() => readFile(path)))) throw new AppError('unsupported_file_type');
          return received(path, { type, bytes, digest, width: null, height: null });
        }
        // Reads the file only in its turn, so that waiting images take no memory.
        const { data, ...size } = await decoding(turn, async () => {
          const image = await encodeAgain(await onDisk(() => readFile(path)), type);
          await onDisk(() => writeFile(path, image.data));
          return image;
        });
        return received(path, { type, digest, bytes: data.length, ...size });
      } catch (error) {
        await discard(path);
        throw error;
      }
    },
    async open(id: string): Promise<ReadStream | undefined> {
      return (await onDisk(() => unlessMissing(open(pathOf(id)))))?.createReadStream();
    },
    remove: (id: string) => onDisk(() => rm(pathOf(id), { force: true })),
    /** Removes abandoned uploads that last changed before `olderThanMs`, then yields the ids of stored files that did. */
    async *oldFiles(olderThanMs: number) {
      for (const path of await namesIn(incoming)) {
        if ((await changedAtMs(path)) < olderThanMs) await rm(path, { force: true });
      }
      for (const shard of await namesIn(join(directory, 'files'))) {
        for (const path of await namesIn(shard)) if ((await changedAtMs(path)) < olderThanMs) yield basename(path);
      }
    },
  };

  /** A received file in its final form, under a temporary name. Only images have a width and a height. */
  function received(path: string, file: Written & Readonly<{ width: number | null; height: number | null }>) {
    return {
      ...file,
      /** Renames the file to its final name, which is the id of its row. */
      keepAs: (id: string) =>
        onDisk(async () => {
          await mkdir(dirname(pathOf(id)), { recursive: true, mode: mode.directory });
          await flush(path);
          await rename(path, pathOf(id));
          await flush(dirname(pathOf(id)));
        }),
      /** Removes the temporary file, unless `keepAs` was called. */
      discard: () => discard(path),
    };
  }
}

/** Writes a body to a new file. Checks its type as soon as the first bytes arrive. */
async function writeBody(body: Readable, path: string, maxBytes: number): Promise<Written> {
  const file = await onDisk(() => open(path, 'wx', mode.file));
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
      await onDisk(() => file.appendFile(chunk));
    }
    return { type: type ?? detectType(start), bytes, digest: hash.digest('hex') };
  } finally {
    await onDisk(() => file.close());
  }
}

const discard = (path: string) => onDisk(() => rm(path, { force: true }));

/**
 * Once the disk works again, the same request succeeds. Codes do not matter: Node reports a read-only disk as ENOENT from
 * a recursive `mkdir`.
 */
async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new AppError('unavailable', { cause });
  }
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
