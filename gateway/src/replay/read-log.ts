import { open } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

const chunkBytes = 1024 * 1024;
/** The longest line that a gateway writes has a few paths and ids of 16 KiB. */
const maxLineLength = 1024 * 1024;

/**
 * Reads the lines of a log, plain or gzip, in batches. Holds one chunk and one line.
 *
 * @param file `-` is standard input.
 * @param onBytes Called with the number of bytes that were read from the file.
 * @throws An error with a `code` if the file cannot be read to its end.
 */
export async function* readLines(
  file: string,
  onBytes: (count: number) => void,
): AsyncGenerator<readonly string[], void, void> {
  const handle = await open(file === '-' ? '/dev/stdin' : file);
  async function* bytes(head: Buffer): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    for await (const chunk of handle.createReadStream({ highWaterMark: chunkBytes })) {
      onBytes(chunk.length);
      yield chunk;
    }
  }
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, null);
  onBytes(bytesRead);
  const plain = bytes(buffer.subarray(0, bytesRead));
  const isGzip = buffer.readUInt16BE() === 0x1f8b;
  // The iteration below reports the error.
  const content = isGzip ? pipeline(Readable.from(plain), createGunzip({ chunkSize: chunkBytes }), () => {}) : plain;
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of content) {
    const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    // No JSON begins like this, so the line counts as broken.
    if (rest.length > maxLineLength) rest = '\0';
    yield lines;
  }
  if (rest !== '') yield [rest];
}
