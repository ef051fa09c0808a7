import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { contentDisposition, safeFileName } from './file-name.ts';

const jpeg = { mediaType: 'image/jpeg', extension: 'jpg', kind: 'image' } as const;
const text = { mediaType: 'text/plain', extension: 'txt', kind: 'document' } as const;

test.each<[string, string, string]>([
  ['an ordinary name', 'Foto vom Hof 3.jpeg', 'Foto vom Hof 3.jpg'],
  ['a path', '../../etc/passwd', 'passwd.jpg'],
  ['a Windows path', 'C:\\temp\\..\\a.jpg', 'a.jpg'],
  ['a line break', 'a.jpg\r\nset-cookie: x=1', 'a.jpgset-cookie_ x=1.jpg'],
  ['a NUL', 'a.jpg\0.html', 'a.jpg.jpg'],
  ['a bidirectional override', 'photo\u202egpj.exe', 'photogpj.jpg'],
  ['a script', 'run.html', 'run.jpg'],
  ['a bare extension', '.htaccess', 'file.jpg'],
  ['an empty name', '', 'file.jpg'],
  ['dots', '...', 'file.jpg'],
  ['a Windows device', 'CON.jpg', 'file-CON.jpg'],
  ['a quote', 'a"; filename=b.exe', 'a_; filename=b.jpg'],
  ['300 characters', 'ä'.repeat(300), `${'ä'.repeat(60)}.jpg`],
  ['a lone surrogate', 'a\ud800.jpg', 'a.jpg'],
])('makes %s a safe file name', (_what, given, expected) => {
  expect(safeFileName(given, jpeg)).toBe(expected);
});

test('every name is one safe path segment, fits a file system, and does not change when it is made safe again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.string()), (given) => {
      const name = safeFileName(given, text);
      expect(name).toMatch(
        /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}/\\:*?"<>|. ][^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}/\\:*?"<>|]*\.txt$/u,
      );
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
      expect(safeFileName(name, text)).toBe(name);
      expect(contentDisposition(name, text.mediaType, 'inline')).toMatch(/^attachment; filename[\x20-\x7e]+$/);
    }),
  );
});

test('displays only images in the browser', () => {
  expect(contentDisposition('Straße.jpg', jpeg.mediaType, 'inline')).toBe(
    'inline; filename="Stra?e.jpg"; filename*=UTF-8\'\'Stra%C3%9Fe.jpg',
  );
  expect(contentDisposition('a.jpg', jpeg.mediaType, 'attachment')).toBe('attachment; filename=a.jpg');
  expect(contentDisposition('a.txt', text.mediaType, 'inline')).toBe('attachment; filename=a.txt');
});
