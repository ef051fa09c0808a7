import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { csvRow } from './csv.ts';

test.each<[string, string, string]>([
  ['a formula', `=HYPERLINK("http://evil.test","x")`, `"'=HYPERLINK(""http://evil.test"",""x"")"`],
  ['a DDE command', `@SUM(1+1)*cmd|' /C calc'!A0`, `"'@SUM(1+1)*cmd|' /C calc'!A0"`],
  ['plus', '+1-800', `"'+1-800"`],
  ['minus', '-2+3', `"'-2+3"`],
  ['a Unicode minus sign', '−2', `"'−2"`],
  ['a full-width equals sign', '＝1+1', `"'＝1+1"`],
  ['a full-width plus sign', '＋1', `"'＋1"`],
  ['a full-width hyphen', '－1', `"'－1"`],
  ['a full-width at sign', '＠x', `"'＠x"`],
  ['a formula after spaces', '  =1', `"'  =1"`],
  ['a formula after a no-break space', '\u00a0=1', `"'\u00a0=1"`],
  ['a formula after a zero-width space', '\u200b=1', `"'\u200b=1"`],
  ['a formula after a byte order mark', '\ufeff=1', `"'\ufeff=1"`],
  ['a tab', '\t=1', `"'\t=1"`],
  ['a tab and text', '\tx', `"'\tx"`],
  ['a carriage return', '\r=1', `"'\n=1"`],
  ['a quote that would end the cell', 'x","=1', `"x"",""=1"`],
  ['another separator', 'x;=1', `"x;=1"`],
  ['lines', 'a\r\nb\rc', `"a\nb\nc"`],
  ['a superscript plus sign', '⁺1', `"'⁺1"`],
  ['ordinary text', 'Lamp = broken', `"Lamp = broken"`],
])('a cell with %s remains text', (_what, text, expected) => {
  expect(csvRow([text])).toBe(`${expected}\r\n`);
});

test('a row can have numbers, times and empty cells', () => {
  expect(csvRow([-1, true, null, undefined, new Date(0)])).toBe('"-1","true","","","1970-01-01T00:00:00.000Z"\r\n');
});

/** Parses one row strictly by RFC 4180. */
function parse(row: string): string[] {
  const cells: string[] = [];
  let rest = row;
  do {
    const [whole, cell = ''] = /^"((?:[^"]|"")*)"(?=,|\r\n)/.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`no cell in ${rest}`);
    cells.push(cell.replaceAll('""', '"'));
    rest = rest.slice(whole.length + 1);
  } while (rest !== '\n');
  return cells;
}

test('any text round-trips, and none begins like a formula', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (texts) => {
      const cells = parse(csvRow(texts));
      expect(cells).toHaveLength(texts.length);
      cells.forEach((cell, at) => {
        const text = (texts[at] ?? '').replaceAll(/\r\n?/g, '\n');
        expect([text, `'${text}`]).toContain(cell);
        expect(cell.normalize('NFKC').trim()).not.toMatch(/^[=+\-@\t\r]/);
      });
    }),
    { numRuns: 500 },
  );
});
