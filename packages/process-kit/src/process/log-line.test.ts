import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createLineWriter, createLogger, isoTime } from './logger.ts';

/** Strings that a client could send to break a log line, among others. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 150 }),
  fc.string({
    unit: fc.constantFrom('"', '\\', '\n', '\r', '\u0000', '\u001b', '\u007f', '\u2028', '\ud800', '\udc00', 'é', 'a'),
    maxLength: 150,
  }),
);

function capture(level = 'info') {
  const lines: string[] = [];
  const logger = createLogger('a "name"', level, { write: (line: string) => void lines.push(line) });
  return { logger, lines };
}

/** In order. The time differs between the two lines. */
const membersOf = (line: string | undefined) =>
  Object.entries(JSON.parse(line ?? '')).map(([name, value]) => (name === 'time' ? name : [name, value]));

test('writes the same line as the logger', () => {
  const { logger, lines } = capture();
  const write = createLineWriter(logger, 'request');
  fc.assert(
    fc.property(hostile, fc.nat(), (text, number) => {
      lines.length = 0;
      logger.info({ text, number, absent: undefined }, 'request');
      write({ text, number, absent: undefined });
      expect(lines).toHaveLength(2);
      // Parsed: pino escapes lone surrogates only on Node 25 and later.
      expect(membersOf(lines[1])).toEqual(membersOf(lines[0]));
      expect(lines[1]?.match(/\n/g)).toHaveLength(1);
    }),
  );
});

test('lets a child logger write its own lines', () => {
  const { logger, lines } = capture();
  const write = createLineWriter(logger.child({ part: 'edge' }), 'request');
  write({ a: 1 });
  write({ a: 1 }, '"b":{"c":"d"}');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ part: 'edge', a: 1, msg: 'request' });
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ part: 'edge', a: 1, b: { c: 'd' }, msg: 'request' });
});

test('adds members that were serialized before, after the others', () => {
  const { logger, lines } = capture();
  createLineWriter(logger, 'request')({ a: 1 }, '"b":{"c":"d"}');
  expect(lines[0]).toMatch(/"a":1,"b":\{"c":"d"\},"msg":"request"\}\n$/);
});

test('writes nothing below the logger’s level', () => {
  const { logger, lines } = capture('warn');
  const write = createLineWriter(logger, 'request');
  write({ a: 1 });
  expect(lines).toEqual([]);
  logger.level = 'info';
  write({ a: 1 });
  expect(lines).toHaveLength(1);
});

test('formats a time as Date does, even after the clock is set back', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 253_402_300_799_999 }), { minLength: 2 }), (times) => {
      for (const ms of [...times, ...times.map((time) => time + 1)])
        expect(isoTime(ms)).toBe(new Date(ms).toISOString());
    }),
  );
});
