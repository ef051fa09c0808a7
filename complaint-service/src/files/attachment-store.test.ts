import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { crc32, deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { type AttachmentStore, createAttachmentStore } from './attachment-store.ts';

const id = '0197c2a0-0000-7000-8000-0000000000f1';
const most = 1024 * 1024;
let directory: string;
let store: AttachmentStore;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'attachments-'));
  store = createAttachmentStore(directory);
});
afterAll(() => rm(directory, { recursive: true }));

const turn = { tenantId: 'acme', userId: 'ann', signal: new AbortController().signal };
const receive = (body: Readable, maxBytes: number) => store.receive(body, maxBytes, turn);
const filesLeft = async () =>
  (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
const inPieces = (bytes: Buffer, size: number) =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size)),
  );
const photo = (width: number, height: number) => sharp({ create: { width, height, channels: 3, background: 'red' } });

/** A PNG that claims a large size but has few bytes. */
function claimingPng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([1, 0, 0, 0, 0], 8);
  const idat = chunk('IDAT', deflateSync(Buffer.alloc(100_000)));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    idat,
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

describe('an image', () => {
  test('an image is stored upright and without metadata, however the body is split', async () => {
    const withPlace = await photo(40, 20)
      .withExif({ IFD0: { Copyright: 'Nosy Camera' }, IFD3: { GPSLatitude: '52/1 31/1 0/1' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    expect(withPlace.includes('Nosy Camera')).toBe(true);
    for (const size of [1, 7, most]) {
      const file = await receive(inPieces(withPlace, size), most);
      expect(file).toMatchObject({ type: { mediaType: 'image/jpeg' }, width: 20, height: 40 });
      await file.keepAs(id);
      const stored = await buffer((await store.open(id)) ?? Readable.from([]));
      expect(stored.length).toBe(file.bytes);
      expect(stored.includes('Nosy Camera')).toBe(false);
      const { exif, orientation, xmp, icc } = await sharp(stored).metadata();
      expect({ exif, orientation, xmp, icc }).toEqual({});
    }
  });

  test('an image is stored without data hidden after its end', async () => {
    const png = await photo(10, 10).png().toBuffer();
    const polyglot = Buffer.concat([png, Buffer.from('<script>alert(1)</script>PK\x05\x06')]);
    const file = await receive(Readable.from([polyglot]), most);
    await file.keepAs(id);
    expect((await buffer((await store.open(id)) ?? Readable.from([]))).includes('script')).toBe(false);
  });

  test('an image is stored with its first frame only, and at most 4096 pixels on each side', async () => {
    const frames = await sharp(Buffer.alloc(20 * 40 * 3), {
      raw: { width: 20, height: 40, channels: 3, pageHeight: 20 },
    })
      .webp({ loop: 0, delay: [100, 100] })
      .toBuffer();
    const still = await receive(Readable.from([frames]), most);
    expect(still).toMatchObject({ type: { mediaType: 'image/webp' }, width: 20, height: 20 });
    await still.discard();
    const wide = await receive(Readable.from([await photo(6000, 30).png().toBuffer()]), most);
    expect(wide).toMatchObject({ width: 4096, height: 20 });
    await wide.discard();
  });

  test.each<[string, () => Buffer | Promise<Buffer>]>([
    ['claims 10 billion pixels', () => claimingPng(100_000, 100_000)],
    ['claims the largest size that PNG allows', () => claimingPng(2 ** 31 - 1, 2 ** 31 - 1)],
    ['claims more pixels than its data has', () => claimingPng(7_000, 7_000)],
    ['ends early', async () => (await photo(300, 300).jpeg().toBuffer()).subarray(0, 400)],
    ['only begins like a JPEG', () => Buffer.from('\xff\xd8\xff\xe0<svg onload="alert(1)"/>', 'latin1')],
    ['ends after its header', () => Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1')],
  ])('an image is refused and removed when it %s', async (_what, make) => {
    const before = await filesLeft();
    await expect(receive(Readable.from([await make()]), most)).rejects.toThrow('unreadable_image');
    expect(await filesLeft()).toEqual(before);
  });
});

describe('any file', () => {
  test('a document is stored unchanged', async () => {
    const file = await receive(Readable.from([Buffer.from('It was '), Buffer.from('late.')]), most);
    expect(file).toMatchObject({ type: { extension: 'txt' }, bytes: 12, width: null });
    await file.keepAs(id);
    expect(await readFile(join(directory, 'files', 'f1', id), 'utf8')).toBe('It was late.');
    await store.remove(id);
    await store.remove(id);
    expect(await store.open(id)).toBeUndefined();
  });

  const endless = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(1000, 'a');
    })(),
  );
  test.each<[string, () => Readable, string]>([
    ['is too large', () => endless, 'payload_too_large'],
    ['is an archive', () => Readable.from([Buffer.from('PK\x03\x04aaaaaaaaaaaa')]), 'unsupported_file_type'],
    ['is empty', () => Readable.from([]), 'unsupported_file_type'],
    ['is short', () => Readable.from([Buffer.from('\0')]), 'unsupported_file_type'],
    ['changes its type later', () => Readable.from([Buffer.alloc(99, 'a'), Buffer.alloc(9)]), 'unsupported_file_type'],
    [
      'stops halfway',
      () =>
        new Readable({
          read() {
            this.destroy(new Error('aborted'));
          },
        }),
      'invalid_request',
    ],
  ])('a file is refused when it %s, and leaves nothing behind', async (_what, body, code) => {
    const before = await filesLeft();
    await expect(receive(body(), 10_000)).rejects.toThrow(code);
    expect(await filesLeft()).toEqual(before);
  });

  test('old files are listed, and an abandoned upload is removed', async () => {
    const kept = await receive(Readable.from([Buffer.from('kept')]), most);
    await kept.keepAs(id);
    await receive(Readable.from([Buffer.from('abandoned')]), most);
    const old = async (before: number) => {
      const found: string[] = [];
      for await (const each of store.oldFiles(before)) found.push(each);
      return found;
    };
    expect(await old(Date.now() - 60_000)).toEqual([]);
    expect(await readdir(join(directory, 'incoming'))).toHaveLength(1);
    await utimes(join(directory, 'files', 'f1', id), 1, 1);
    for (const name of await readdir(join(directory, 'incoming')))
      await utimes(join(directory, 'incoming', name), 1, 1);
    expect(await old(Date.now() - 60_000)).toEqual([id]);
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });
});

const text = (bytes: number) => Readable.from([Buffer.alloc(bytes, 'text\n')]);

test('a disk that refuses everything gives 503', async () => {
  const broken = createAttachmentStore(join(import.meta.filename, 'not-a-directory'));
  const outage = { code: 'unavailable', cause: { code: 'ENOTDIR' } };
  await expect(broken.receive(text(9), most, turn)).rejects.toMatchObject(outage);
  await expect(broken.open(id)).rejects.toMatchObject(outage);
  await expect(broken.remove(id)).rejects.toMatchObject(outage);
});

// Only root can mount a small disk.
describe('a disk', () => {
  const onRoot = process.getuid?.() === 0 ? test : test.skip;
  let disk: string;
  let small: AttachmentStore;
  const mount = (...options: readonly string[]) =>
    execFileSync('mount', ['-t', 'tmpfs', '-o', ['size=64k', ...options].join(), 'tmpfs', disk]);
  beforeEach(async () => {
    disk = await mkdtemp(join(tmpdir(), 'attachments-full-'));
    small = createAttachmentStore(disk);
  });
  afterEach(async () => {
    if (process.getuid?.() === 0) execFileSync('umount', [disk]);
    await rm(disk, { recursive: true });
  });

  /** Its encoding at our quality is larger than the disk. */
  const noise = async () =>
    sharp(randomBytes(500 * 500 * 3), { raw: { width: 500, height: 500, channels: 3 } })
      .jpeg({ quality: 20 })
      .toBuffer();
  onRoot.each<[string, () => Promise<Readable> | Readable]>([
    ['a body', () => text(100_000)],
    ['an encoded image', async () => Readable.from([await noise()])],
  ])('that is too small for %s gives 503 until it has space, and keeps no partial file', async (_what, body) => {
    mount();
    await expect(small.receive(await body(), most, turn)).rejects.toMatchObject({
      code: 'unavailable',
      cause: { code: 'ENOSPC' },
    });
    expect(await readdir(join(disk, 'incoming'))).toEqual([]);
    await (await small.receive(text(1_000), most, turn)).keepAs(id);
    expect(await buffer((await small.open(id)) as Readable)).toHaveLength(1_000);
  });

  onRoot('that is read-only gives 503 to every change, and still sends files', async () => {
    mount();
    await (await small.receive(text(1_000), most, turn)).keepAs(id);
    const received = await small.receive(text(1_000), most, turn);
    mount('remount', 'ro');
    const outage = { code: 'unavailable', cause: { code: 'EROFS' } };
    await expect(small.receive(text(9), most, turn)).rejects.toMatchObject(outage);
    const otherFolder = '0197c2a0-0000-7000-8000-0000000000a2';
    await expect(received.keepAs(otherFolder)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(received.keepAs(id)).rejects.toMatchObject(outage);
    await expect(received.discard()).rejects.toMatchObject(outage);
    await expect(small.remove(id)).rejects.toMatchObject(outage);
    expect(await buffer((await small.open(id)) as Readable)).toHaveLength(1_000);
  });
});
