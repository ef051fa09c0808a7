import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { BodyMemory, HeldBody } from '../limits/body-memory.ts';
import { readBody } from './read-body.ts';

describe('reading a whole body', () => {
  let memory: BodyMemory;
  beforeEach(() => {
    memory = new BodyMemory();
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const reading = (stream = new PassThrough(), bytesPerSec = 0, { maxBytes = 10, limit = 1e9 } = {}) => {
    const rate = { bytesPerSec, windowMs: 20_000 };
    const held = new HeldBody(memory, { bytes: limit, bytesPerAddress: limit }, 'a');
    const read = readBody(stream as unknown as IncomingMessage, { maxBytes, rate, held }).then(
      (bytes) => bytes.toString(),
      (error: { code: string }) => error.code,
    );
    return { stream, read, held };
  };

  test('returns the bytes that were sent', async () => {
    const { stream, read } = reading();
    stream.write('hello');
    stream.end('there');
    expect(await read).toBe('hellothere');
  });

  test('refuses a body that is still arriving after 30 s', async () => {
    const { stream, read } = reading();
    for (let second = 0; second < 29; second += 1) {
      if (second % 5 === 0) stream.write('a');
      jest.advanceTimersByTime(1_000);
    }
    expect(await Promise.race([read, Promise.resolve('waiting')])).toBe('waiting');
    jest.advanceTimersByTime(1_000);
    expect(await read).toBe('request_timeout');
  });

  test('refuses a body below the minimum rate', async () => {
    const { stream, read } = reading(new PassThrough(), 1024);
    for (let second = 0; second < 19; second += 1) {
      if (second % 5 === 0) stream.write('a');
      jest.advanceTimersByTime(1_000);
    }
    expect(await Promise.race([read, Promise.resolve('waiting')])).toBe('waiting');
    jest.advanceTimersByTime(1_000);
    expect(await read).toBe('request_timeout');
    expect(jest.getTimerCount()).toBe(0);
  });

  test('refuses a body as soon as it is too large', async () => {
    const { stream, read } = reading();
    stream.write('elevenbytes');
    expect(await read).toBe('payload_too_large');
  });

  test('joins chunks of any size', async () => {
    const bytes = randomBytes(300_000);
    for (const sizes of [[1], [7, 70_000], [65_536], [299_999, 1], [16_384], [1, 16_383, 1]]) {
      const stream = new PassThrough();
      const held = new HeldBody(memory, { bytes: 1e9, bytesPerAddress: 1e9 }, 'a');
      const rate = { bytesPerSec: 0, windowMs: 20_000 };
      const read = readBody(stream as unknown as IncomingMessage, { maxBytes: 400_000, rate, held });
      for (let at = 0, n = 0; at < bytes.length; n += 1) {
        const end = at + (sizes[n % sizes.length] ?? 1);
        stream.emit('data', bytes.subarray(at, end));
        at = end;
      }
      stream.emit('end');
      expect((await read).equals(bytes)).toBe(true);
      expect(memory.bytes).toBeGreaterThanOrEqual(bytes.length);
      expect(memory.bytes).toBeLessThanOrEqual(400_000);
      held.release();
    }
    expect(memory.bytes).toBe(0);
  });

  test('counts the memory that it holds, and releases a refused body immediately', async () => {
    const { stream, read, held } = reading(new PassThrough(), 0, { maxBytes: 200_000, limit: 100_000 });
    stream.write(Buffer.alloc(10_000));
    stream.write(Buffer.alloc(10_000));
    await new Promise((resolve) => setImmediate(resolve));
    expect(memory.bytes).toBe(20_000);
    stream.write(Buffer.alloc(90_000));
    expect(await read).toBe('rate_limited');
    expect(memory.bytes).toBe(0);
    expect(stream.isPaused()).toBe(true);
    held.release();
    expect(memory.bytes).toBe(0);
  });

  test('refuses a truncated body', async () => {
    const { stream, read } = reading();
    stream.write('half');
    stream.destroy();
    expect(await read).toBe('invalid_request');
  });

  test('refuses immediately if the client has disconnected', async () => {
    const gone = new PassThrough().destroy();
    await new Promise((resolve) => gone.once('close', resolve));
    expect(await reading(gone).read).toBe('invalid_request');
    expect(jest.getTimerCount()).toBe(0);
  });
});
