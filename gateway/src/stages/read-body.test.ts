import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { readBody } from './read-body.ts';

describe('reading a whole body', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const reading = (stream = new PassThrough(), bytesPerSec = 0) => {
    const rate = { bytesPerSec, windowMs: 20_000 };
    const read = readBody(stream as unknown as IncomingMessage, { maxBytes: 10, rate }).then(
      (bytes) => bytes.toString(),
      (error: { code: string }) => error.code,
    );
    return { stream, read };
  };

  test('returns the bytes that were sent', async () => {
    const { stream, read } = reading();
    stream.write('hello');
    stream.end('there');
    expect(await read).toBe('hellothere');
  });

  test('refuses a steady body after 30 s', async () => {
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

  test('refuses a truncated body', async () => {
    const { stream, read } = reading();
    stream.write('half');
    stream.destroy();
    expect(await read).toBe('invalid_request');
  });

  test('refuses at once if the client has disconnected', async () => {
    const gone = new PassThrough().destroy();
    await new Promise((resolve) => gone.once('close', resolve));
    expect(await reading(gone).read).toBe('invalid_request');
    expect(jest.getTimerCount()).toBe(0);
  });
});
