import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { downloadRate, type MinRate, uploadRate, watchRate, wholeBodyRate } from './min-rate.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const rate = { bytesPerSec: 1024, windowMs: 20_000 };

/** A transfer whose progress the test controls. */
function transfer(watched: MinRate) {
  const state = { bytes: 0 as number | undefined, slowCalls: 0 };
  const watch = watchRate(
    watched,
    () => state.bytes,
    () => {
      state.slowCalls += 1;
    },
  );
  return { state, watch };
}

/**
 * @param chunks Returns how many bytes arrive in each second.
 * @returns The second in which the transfer became too slow.
 */
function tooSlowAt(chunks: (second: number) => number, seconds: number): number | undefined {
  const { state } = transfer(rate);
  for (let second = 1; second <= seconds; second += 1) {
    state.bytes = (state.bytes ?? 0) + chunks(second);
    jest.advanceTimersByTime(1_000);
    if (state.slowCalls > 0) return second;
  }
  return undefined;
}

test.each([
  ['silence', () => 0, 20],
  ['a byte every 5 s', (second: number) => (second % 5 === 0 ? 1 : 0), 20],
  ['one byte a second less than the rate', () => 1023, 20],
  ['a burst and then silence', (second: number) => (second === 1 ? 1_000_000 : 0), 40],
  ['exactly the rate', () => 1024, undefined],
  ['a slow connection with 2 KiB/s', () => 2048, undefined],
  ['a connection that is down for 15 s of every 40 s', (second: number) => (second % 40 < 15 ? 0 : 8192), undefined],
])('finds out when %s becomes too slow, if ever', (_name, chunks, at) => {
  expect(tooSlowAt(chunks, 200)).toBe(at);
});

test('calls back once, and never after the transfer has stopped', () => {
  const slow = transfer(rate);
  jest.advanceTimersByTime(200_000);
  expect(slow.state.slowCalls).toBe(1);
  const stopped = transfer(rate);
  stopped.watch.stop();
  jest.advanceTimersByTime(200_000);
  expect(stopped.state.slowCalls).toBe(0);
  expect(jest.getTimerCount()).toBe(0);
});

test('ignores time in which the gateway does not wait for the client', () => {
  const { state, watch } = transfer(rate);
  for (let ms = 0; ms < 100_000; ms += 10_000) {
    watch.restart();
    jest.advanceTimersByTime(10_000);
  }
  state.bytes = undefined;
  jest.advanceTimersByTime(100_000);
  state.bytes = 0;
  // The first check starts a window.
  jest.advanceTimersByTime(24_999);
  expect(state.slowCalls).toBe(0);
  jest.advanceTimersByTime(1);
  expect(state.slowCalls).toBe(1);
});

test('without a rate, one byte per idle timeout is enough', () => {
  const { state } = transfer({ bytesPerSec: 0, windowMs: 1_000 });
  state.bytes = 1;
  jest.advanceTimersByTime(1_000);
  expect(state.slowCalls).toBe(0);
  jest.advanceTimersByTime(1_000);
  expect(state.slowCalls).toBe(1);
});

test.each([
  [{ minRate: 1024, idleMs: 60_000 }, 20_000, 60_000],
  [{ minRate: 1024, idleMs: 5_000 }, 5_000, 5_000],
  [{ minRate: 1024, idleMs: 3_600_000 }, 20_000, 60_000],
  [{ minRate: 0, idleMs: 3_600_000 }, 3_600_000, 3_600_000],
])(
  'with %j, windows last %i ms for streamed bodies and %i ms for responses',
  ({ minRate, idleMs }, upload, download) => {
    const limits = { minRate, timeouts: { connectMs: 1, responseMs: 1, idleMs } };
    expect(uploadRate(limits)).toEqual({ bytesPerSec: minRate, windowMs: upload });
    expect(downloadRate(limits)).toEqual({ bytesPerSec: minRate, windowMs: download });
    expect(wholeBodyRate(limits)).toEqual({ bytesPerSec: minRate, windowMs: 20_000 });
  },
);
