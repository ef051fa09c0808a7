import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EventParser, type StreamEvent } from './events.ts';

describe('the parser of server-sent events', () => {
  test.each<[string, string, Partial<StreamEvent>[]]>([
    ['a message', 'data: one\n\n', [{ event: 'message', data: 'one' }]],
    ['a named event with an id', 'id: 7\nevent: filed\ndata: one\n\n', [{ id: '7', event: 'filed', data: 'one' }]],
    ['several lines of data', 'data: one\ndata:two\ndata\n\n', [{ data: 'one\ntwo\n' }]],
    [
      'CRLF and CR',
      'data: one\r\n\r\ndata: two\r\rdata: three\n\n',
      [{ data: 'one' }, { data: 'two' }, { data: 'three' }],
    ],
    ['a colon in the data', 'data: {"a":1}\n\n', [{ data: '{"a":1}' }]],
    ['comments and unknown fields', ': hello\nother: x\ndata: one\n\n', [{ data: 'one' }]],
    ['an id with NUL, which is ignored', 'id: a\0\ndata: one\n\n', [{ id: undefined, data: 'one' }]],
    ['an event without data, which is ignored', 'id: 8\nevent: filed\n\n', []],
    ['an incomplete event', 'data: one\n', []],
  ])('reads %s', (_, text, expected) => {
    expect(new EventParser().push(text)).toMatchObject(expected);
  });

  test('accepts only digits as a reconnection delay', () => {
    const parser = new EventParser();
    parser.push('retry: 250\n');
    parser.push('retry: soon\n');
    expect(parser.retryMs).toBe(250);
  });

  test('reads the same events however the text is split', () => {
    const line = fc.constantFrom(
      'data: one',
      'data:',
      'id: 1',
      'event: filed',
      ': comment',
      'retry: 5',
      '',
      '',
      'é: ü',
    );
    const ending = fc.constantFrom('\n', '\r\n', '\r');
    const text = fc.array(fc.tuple(line, ending), { maxLength: 20 }).map((lines) => `${lines.flat().join('')}\n`);
    fc.assert(
      fc.property(text, fc.array(fc.nat({ max: 200 }), { maxLength: 8 }), (whole, cuts) => {
        const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
        const pieces = places.slice(1).map((end, at) => whole.slice(places[at], end));
        const parser = new EventParser();
        expect(pieces.flatMap((piece) => parser.push(piece))).toEqual(new EventParser().push(whole));
      }),
    );
  });
});
