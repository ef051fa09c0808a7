import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

const noBytes = Buffer.alloc(0);

/**
 * A received protobuf message. Fields that the caller does not read are ignored.
 *
 * Every method throws an Error for a field of another type. Methods that read a single field also throw if the field
 * repeats, because another reader could take another of its values.
 */
export class ReceivedMessage {
  readonly #fields = new Map<number, (Buffer | number)[]>();

  /** @throws Error if the bytes are not a message. */
  constructor(bytes: Buffer) {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (type === WireType.LengthDelimited) this.#add(field, asBuffer(reader.bytes()));
      else if (type === WireType.Varint) this.#add(field, Number(reader.int64()));
      else reader.skip(type, field);
    }
  }

  /** Returns 0 if the field is absent. */
  number(field: number): number {
    const value = this.#one(field) ?? 0;
    if (typeof value !== 'number') throw new Error(`field ${field} is not a number`);
    return value;
  }

  /** Returns an empty buffer if the field is absent. */
  bytes(field: number): Buffer {
    return bytesOf(this.#one(field) ?? noBytes);
  }

  /** Returns one character per byte. Empty if the field is absent. */
  text(field: number): string {
    return this.bytes(field).toString('latin1');
  }

  /** Returns a message without fields if the field is absent. */
  message(field: number): ReceivedMessage {
    return new ReceivedMessage(this.bytes(field));
  }

  messages(field: number): readonly ReceivedMessage[] {
    return (this.#fields.get(field) ?? []).map((value) => new ReceivedMessage(bytesOf(value)));
  }

  #add(field: number, value: Buffer | number): void {
    const before = this.#fields.get(field);
    if (before === undefined) this.#fields.set(field, [value]);
    else before.push(value);
  }

  #one(field: number): Buffer | number | undefined {
    const [value, ...more] = this.#fields.get(field) ?? [];
    if (more.length > 0) throw new Error(`field ${field} repeats`);
    return value;
  }
}

function bytesOf(value: Buffer | number): Buffer {
  if (typeof value === 'number') throw new Error('a number instead of bytes');
  return value;
}

const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);
