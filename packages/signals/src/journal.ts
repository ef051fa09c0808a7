import {
  closeSync,
  createReadStream,
  fdatasync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFile,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { StoredEnd } from './end.ts';

/**
 * - `sinceMs`: the journal has every end of the issuer from then on.
 * - `entries`: those of one token that ends several subjects. On one line, so that a crash keeps all of them or none. With
 *   only some, the repeated token would count as known, and the others would be lost.
 */
type Line =
  | StoredEnd
  | Readonly<{ issuer: string; sinceMs: number }>
  | Readonly<{ issuer: string; entries: readonly StoredEnd[] }>;

type Listener = (entries: readonly StoredEnd[]) => void;
type Waiting = Readonly<{ lines: readonly Line[]; done: PromiseWithResolvers<void> }>;

const write = promisify(writeFile) as (fd: number, text: string) => Promise<void>;
const sync = promisify(fdatasync);

const extension = '.journal';
const maxSegmentBytes = 8 * 1024 * 1024;
/** A segment gets no lines after this time, so that other processes may remove it once its entries have expired. */
const maxSegmentAgeMs = 3_600_000;

export type JournalOptions = Readonly<{
  /** On a disk of this machine. */
  directory: string;
  /** Unix milliseconds. Default: the clock of the system. */
  nowMs?: () => number;
  /** Called for each file with lines whose checksum is wrong. They are skipped. */
  onDamaged?: (file: string, lines: number) => void;
}>;

/**
 * The ends of all issuers, on disk. `append` settles when a line survives a crash of the machine.
 *
 * Each process writes files of its own, so processes never write to the same file. Each line has a checksum: a line
 * that was cut by a crash or a full disk is skipped. A file is removed when all of its entries have expired.
 */
export class Journal {
  readonly #directory: string;
  readonly #nowMs: () => number;
  readonly #onDamaged: (file: string, lines: number) => void;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #sinceMs = new Map<string, number>();
  /** When the last entry of each file expires. Complete for files of other processes after {@link read}. */
  readonly #expiries = new Map<string, number>();
  #segment: { readonly file: string; readonly fd: number; readonly openedAtMs: number; bytes: number } | undefined;
  #waiting: Waiting[] = [];
  #isWriting = false;

  constructor({ directory, nowMs = Date.now, onDamaged = () => {} }: JournalOptions) {
    this.#directory = directory;
    this.#nowMs = nowMs;
    this.#onDamaged = onDamaged;
  }

  /** Creates the directory, and a file. @throws Error with a `code` if nothing can be written there. */
  open(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    this.#openSegment();
  }

  close(): void {
    if (this.#segment !== undefined) closeSync(this.#segment.fd);
    this.#segment = undefined;
  }

  /** Calls the listener with each entry of the issuer once it is on disk. Returns a function that removes it. */
  follow(issuer: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(issuer) ?? new Set();
    this.#listeners.set(issuer, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** From when on the journal has every end of the issuer. Undefined before {@link read}, and if it never had one. */
  sinceMs(issuer: string): number | undefined {
    return this.#sinceMs.get(issuer);
  }

  /** Records that the journal has every end of the issuer from then on. */
  async cover(issuer: string, sinceMs: number): Promise<void> {
    this.#sinceMs.set(issuer, sinceMs);
    await this.#enqueue([{ issuer, sinceMs }]);
  }

  /** Writes the entries, and calls the listeners. @throws Error if they cannot be written. */
  append(entries: readonly StoredEnd[]): Promise<void> {
    const tokens = Map.groupBy(entries, ({ issuer, origin }) => `${issuer} ${origin.source} ${origin.jti}`);
    const lines = [...tokens.values()].flatMap((own): readonly Line[] => {
      const [first, ...more] = own;
      return first === undefined || more.length === 0 ? own : [{ issuer: first.issuer, entries: own }];
    });
    return lines.length === 0 ? Promise.resolve() : this.#enqueue(lines);
  }

  /** Reads an issuer's entries in force, in batches of about 1,000. Call {@link follow} first to miss none. */
  async *read(issuer: string): AsyncGenerator<readonly StoredEnd[]> {
    let batch: StoredEnd[] = [];
    for (const file of this.#files()) {
      for await (const line of this.#linesOf(file)) {
        if (line.issuer !== issuer) continue;
        if ('sinceMs' in line) {
          this.#sinceMs.set(issuer, Math.min(line.sinceMs, this.#sinceMs.get(issuer) ?? line.sinceMs));
        } else batch.push(...entriesOf(line).filter(({ expiresAtMs }) => expiresAtMs > this.#nowMs()));
        if (batch.length >= 1_000) {
          yield batch;
          batch = [];
        }
      }
    }
    yield batch;
    // A journal that was not opened only reads.
    if (this.#segment !== undefined) this.#removeExpired();
  }

  #files(): readonly string[] {
    return readdirSync(this.#directory)
      .filter((file) => file.endsWith(extension))
      .sort();
  }

  async *#linesOf(file: string): AsyncGenerator<Line> {
    const lines = createInterface({ input: createReadStream(join(this.#directory, file)), crlfDelay: Infinity });
    let damaged = 0;
    let expiresAtMs = 0;
    for await (const text of lines) {
      const line = parseLine(text);
      if (line === undefined) damaged += text === '' ? 0 : 1;
      else {
        for (const entry of entriesOf(line)) expiresAtMs = Math.max(expiresAtMs, entry.expiresAtMs);
        yield line;
      }
    }
    if (damaged > 0) this.#onDamaged(file, damaged);
    this.#expiries.set(file, Math.max(expiresAtMs, this.#expiries.get(file) ?? 0));
  }

  #enqueue(lines: readonly Line[]): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ lines, done });
    if (!this.#isWriting) void this.#writeWaiting();
    return done.promise;
  }

  /** Writes all lines that wait, and synchronizes the disk once for all of them. */
  async #writeWaiting(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#writeLines(batch.flatMap(({ lines }) => lines));
        for (const { done } of batch) done.resolve();
      } catch (cause) {
        for (const { done } of batch) done.reject(cause);
      }
    }
    this.#isWriting = false;
  }

  async #writeLines(lines: readonly Line[]): Promise<void> {
    const segment = this.#segmentFor(this.#nowMs());
    // The first newline ends a line that an earlier failure may have cut.
    const text = `\n${lines.map(lineOf).join('')}`;
    segment.bytes += Buffer.byteLength(text);
    await write(segment.fd, text);
    await sync(segment.fd);
    const entries = lines.flatMap(entriesOf);
    const expiresAtMs = entries.reduce((latest, entry) => Math.max(latest, entry.expiresAtMs), 0);
    this.#expiries.set(segment.file, Math.max(expiresAtMs, this.#expiries.get(segment.file) ?? 0));
    for (const [issuer, own] of Map.groupBy(entries, (entry) => entry.issuer)) {
      for (const listener of this.#listeners.get(issuer) ?? []) listener(own);
    }
  }

  #segmentFor(nowMs: number) {
    const segment = this.#segment;
    if (segment !== undefined && segment.bytes < maxSegmentBytes && nowMs < segment.openedAtMs + maxSegmentAgeMs)
      return segment;
    this.close();
    const opened = this.#openSegment();
    this.#removeExpired();
    return opened;
  }

  /** Creates a file that no other process writes to. Both the file and its name in the directory are synchronized. */
  #openSegment() {
    const openedAtMs = this.#nowMs();
    const file = `${String(openedAtMs).padStart(15, '0')}-${crypto.randomUUID()}${extension}`;
    const fd = openSync(join(this.#directory, file), 'ax', 0o600);
    const text = [...this.#sinceMs].map(([issuer, sinceMs]) => lineOf({ issuer, sinceMs })).join('');
    writeSync(fd, text);
    fsyncSync(fd);
    const directory = openSync(this.#directory, 'r');
    fsyncSync(directory);
    closeSync(directory);
    this.#segment = { file, fd, openedAtMs, bytes: text.length };
    return this.#segment;
  }

  #removeExpired(): void {
    const nowMs = this.#nowMs();
    for (const [file, expiresAtMs] of this.#expiries) {
      // Twice the time in which its process may still write to it.
      const mayBeWritten = file === this.#segment?.file || nowMs < Number.parseInt(file, 10) + 2 * maxSegmentAgeMs;
      if (mayBeWritten || expiresAtMs > nowMs) continue;
      rmSync(join(this.#directory, file), { force: true });
      this.#expiries.delete(file);
    }
  }
}

const checksumOf = (json: string): string => crc32(json).toString(16).padStart(8, '0');

function entriesOf(line: Line): readonly StoredEnd[] {
  if ('sinceMs' in line) return [];
  return 'entries' in line ? line.entries : [line];
}

function lineOf(line: Line): string {
  const json = JSON.stringify(line);
  return `${checksumOf(json)} ${json}\n`;
}

function parseLine(text: string): Line | undefined {
  const json = text.slice(9);
  return text[8] === ' ' && checksumOf(json) === text.slice(0, 8) ? (JSON.parse(json) as Line) : undefined;
}
