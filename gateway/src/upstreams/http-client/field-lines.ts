const cr = 13;
const lf = 10;
const space = 32;
const tab = 9;
const codingNameLength = 'transfer-encoding'.length;
const colon = 58;

/** 1 for each byte of a token (RFC 9110 section 5.6.2). */
const isToken = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~") isToken[char.charCodeAt(0)] = 1;
for (let byte = 0; byte < 128; byte += 1) if (/[0-9A-Za-z]/.test(String.fromCharCode(byte))) isToken[byte] = 1;

/** 1 for each byte of a field value (RFC 9110 section 5.5): no control character but the tab. */
const isValue = new Uint8Array(256).fill(1, space, 256);
isValue[tab] = 1;
isValue[127] = 0;

// A field line has at least four bytes, so a head of 64 KiB has no more lines than this.
const maxFields = 16 * 1024;
// Start and end of each name, start and end of each value. Only one scan runs at a time.
const offsets = new Int32Array(maxFields * 4);

/** Reads the field lines of a head or of trailers. One instance serves one connection. */
export class FieldLines {
  /** The empty line was read. */
  isComplete = false;
  /** What the bytes violate; undefined if nothing. */
  violation: string | undefined;
  /** A value of this head was followed by a tab. Set until `start`. */
  hasTrailingTab = false;

  /** Begins another head. */
  start(): void {
    this.hasTrailingTab = false;
  }

  /**
   * Reads whole lines and appends their names and values.
   *
   * @returns The position after the last whole line. Bytes after it are the start of a line, unless `isComplete`.
   */
  read(bytes: Buffer, from: number, end: number, fields: string[]): number {
    this.isComplete = false;
    this.violation = undefined;
    let at = from;
    let filled = 0;
    while (at < end) {
      const next = this.#scanLine(bytes, at, end, filled);
      if (next === at) break;
      at = next;
      if (this.isComplete) break;
      filled += 4;
    }
    if (filled > 0) append(bytes.toString('latin1', from, at), from, filled, fields);
    return at;
  }

  /** @returns The position after the line; `at` if the line is incomplete or invalid. */
  #scanLine(bytes: Buffer, at: number, end: number, filled: number): number {
    let here = at;
    while (here < end && isToken[bytes[here] as number] === 1) here += 1;
    if (here === end) return at;
    if (here === at) return this.#scanLastLine(bytes, at, end);
    if (bytes[here] !== colon) return this.#refuse(at, 'an invalid field name');
    offsets[filled] = at;
    offsets[filled + 1] = here;
    here += 1;
    while (here < end && isBlank(bytes[here])) here += 1;
    const valueStart = here;
    while (here < end && isValue[bytes[here] as number] === 1) here += 1;
    if (here < end && bytes[here] !== cr) return this.#refuse(at, 'an invalid byte in a field value');
    if (here + 1 >= end) return at;
    if (bytes[here + 1] !== lf) return this.#refuse(at, 'a CR without LF');
    let valueEnd = here;
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd -= 1;
    const nameLength = (offsets[filled + 1] as number) - at;
    if (bytes[here - 1] === tab && nameLength === codingNameLength) this.hasTrailingTab = true;
    offsets[filled + 2] = valueStart;
    offsets[filled + 3] = valueEnd;
    return here + 2;
  }

  #scanLastLine(bytes: Buffer, at: number, end: number): number {
    // A blank here is obsolete line folding (RFC 9112 section 5.2).
    if (bytes[at] !== cr) return this.#refuse(at, isBlank(bytes[at]) ? 'a folded line' : 'an invalid field name');
    if (at + 1 >= end) return at;
    if (bytes[at + 1] !== lf) return this.#refuse(at, 'a CR without LF');
    this.isComplete = true;
    return at + 2;
  }

  #refuse(at: number, violation: string): number {
    this.violation = violation;
    return at;
  }
}

const isBlank = (byte: number | undefined): boolean => byte === space || byte === tab;

/** Slices all names and values from one string, which is cheaper than decoding each of them. */
function append(text: string, from: number, filled: number, fields: string[]): void {
  for (let at = 0; at < filled; at += 2) {
    fields.push(text.slice((offsets[at] as number) - from, (offsets[at + 1] as number) - from));
  }
}
