import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { readBody } from './read-body.ts';

describe('a body that is read whole', () => {
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

  test('arrives as it was sent', async () => {
    const { stream, read } = reading();
    stream.write('hello');
    stream.end('there');
    expect(await read).toBe('hellothere');
  });

  test('may not trickle in for longer than 30 s, however steadily', async () => {
    const { stream, read } = reading();
    for (let second = 0; second < 29; second += 1) {
      if (second % 5 === 0) stream.write('a');
      jest.advanceTimersByTime(1_000);
    }
    expect(await Promise.race([read, Promise.resolve('waiting')])).toBe('waiting');
    jest.advanceTimersByTime(1_000);
    expect(await read).toBe('request_timeout');
  });

  test('may not come more slowly than the least rate', async () => {
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

  test('is refused as soon as it is too large', async () => {
    const { stream, read } = reading();
    stream.write('elevenbytes');
    expect(await read).toBe('payload_too_large');
  });

  test('that breaks off is no body', async () => {
    const { stream, read } = reading();
    stream.write('half');
    stream.destroy();
    expect(await read).toBe('invalid_request');
  });

  test('is not waited for when its client is gone already', async () => {
    const gone = new PassThrough().destroy();
    await new Promise((resolve) => gone.once('close', resolve));
    expect(await reading(gone).read).toBe('invalid_request');
    expect(jest.getTimerCount()).toBe(0);
  });
});
