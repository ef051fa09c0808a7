import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { closeFrame, FrameCursor } from './websocket-frames.ts';

/** Builds a frame (RFC 6455 section 5.2). */
function frame(opcode: number, length: number, isMasked: boolean): Buffer {
  const mask = isMasked ? 0x80 : 0;
  const head = [0x80 | opcode];
  if (length < 126) head.push(mask | length);
  else if (length < 0x1_0000) head.push(mask | 126, length >> 8, length & 0xff);
  else head.push(mask | 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 0xff, length & 0xff);
  // Payload that looks like frames, so that a wrong count is detected.
  return Buffer.concat([Buffer.from(head), Buffer.alloc(isMasked ? 4 : 0, 0x88), Buffer.alloc(length, 0x88)]);
}

describe('the WebSocket frame cursor', () => {
  const lengths = fc.oneof(fc.nat(130), fc.constantFrom(0, 125, 126, 127, 0xffff, 0x1_0000, 70_000));
  const frames = fc.array(fc.tuple(fc.constantFrom(0, 1, 2, 9, 10), lengths, fc.boolean()), { maxLength: 6 });

  test('finds the end of each frame, however the bytes are split', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1 }), (drawn, steps) => {
        const parts = drawn.map(([opcode, length, isMasked]) => frame(opcode, length, isMasked));
        const whole = Buffer.concat(parts);
        const ends = new Set([0]);
        for (const part of parts) ends.add(Math.max(...ends) + part.length);
        const cursor = new FrameCursor();
        for (let at = 0, turn = 0; at < whole.length; turn += 1) {
          const next = Math.min(whole.length, at + (steps[turn % steps.length] ?? 1));
          cursor.pass(whole.subarray(at, next));
          at = next;
          expect([at, cursor.isBetween]).toEqual([at, ends.has(at)]);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('allows no frame after a close frame', () => {
    for (const side of ['server', 'client'] as const) {
      const cursor = new FrameCursor();
      cursor.pass(closeFrame(side, 1008, 'token_revoked'));
      expect(cursor.isBetween).toBe(false);
    }
  });

  test('treats the largest possible frame as unfinished', () => {
    const cursor = new FrameCursor();
    cursor.pass(Buffer.from([0x82, 127, ...Array<number>(8).fill(0xff)]));
    cursor.pass(Buffer.alloc(100_000));
    expect(cursor.isBetween).toBe(false);
  });
});

describe('a close frame', () => {
  test('a close frame is masked only for a client', () => {
    expect(closeFrame('server', 1001)).toEqual(Buffer.from([0x88, 2, 0x03, 0xe9]));
    const masked = closeFrame('client', 1008, 'x');
    expect(masked.subarray(0, 2)).toEqual(Buffer.from([0x88, 0x83]));
    const key = masked.subarray(2, 6);
    expect(masked.subarray(6).map((byte, at) => byte ^ (key[at % 4] ?? 0))).toEqual(Buffer.from([0x03, 0xf0, 0x78]));
  });

  test('refuses a reason that does not fit a control frame', () => {
    expect(() => closeFrame('server', 1008, 'x'.repeat(124))).toThrow(RangeError);
  });
});
