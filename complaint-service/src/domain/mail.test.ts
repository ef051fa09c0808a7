import { expect, test } from '@jest/globals';
import { mailText } from './mail.ts';

test('a title stays on one line in the subject and the text', () => {
  const title = 'Lamp\r\nBcc: x@example.test\u2028\u0000dark';
  const { subject, text } = mailText({ kind: 'closed', title, id: '1', link: undefined });
  expect(subject).toBe('A complaint was closed: Lamp Bcc: x@example.test dark');
  expect(text.split('\n')).toEqual([
    'In Countersign, the complaint "Lamp Bcc: x@example.test dark" was closed.',
    '',
    'Complaint number: 1',
    '',
  ]);
});
