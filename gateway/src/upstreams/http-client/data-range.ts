/** The body bytes of one read, moved together to one range, so that many small chunks are one piece of data. */
export class DataRange {
  start = 0;
  /** 0 if there are no bytes. */
  end = 0;

  clear(): void {
    this.start = 0;
    this.end = 0;
  }

  /** Appends `size` bytes from `at`, which lie behind those of before. */
  add(bytes: Buffer, at: number, size: number): void {
    if (this.end === 0) {
      this.start = at;
      this.end = at;
    } else if (this.end !== at) bytes.copyWithin(this.end, at, at + size);
    this.end += size;
  }
}
