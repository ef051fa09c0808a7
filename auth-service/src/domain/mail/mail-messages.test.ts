import { expect, test } from '@jest/globals';
import { type MailContent, mailText } from './mail-messages.ts';

const link = 'https://app.example.test/reset-password?token=abc';

test.each<[string, MailContent, RegExp[]]>([
  ['a confirmation', { kind: 'verification', link, lifetimeSec: 86_400 }, [/within 24 hours/, /choose a password/]],
  ['a reset', { kind: 'password_reset', link, lifetimeSec: 3600 }, [/within an hour/, /ends all your sessions/]],
  [
    'an invitation',
    { kind: 'invitation', link, lifetimeSec: 7 * 86_400, tenantName: 'Acme', role: 'agent' },
    [/within 7 days/, /join Acme on Countersign as agent/],
  ],
])('%s has its link on a separate line, and says what the link does', (_what, content, says) => {
  const { text } = mailText(content);
  expect(text.split('\n')).toContain(link);
  expect(text).toContain('Countersign');
  for (const each of says) expect(text.replaceAll('\n', ' ')).toMatch(each);
});

test.each<MailContent>([
  { kind: 'account_exists' },
  { kind: 'password_changed' },
  { kind: 'factor_changed', change: 'removed' },
])('the %j email names the product, and has no link', (content) => {
  expect(mailText(content).text).toContain('Countersign');
  expect(mailText(content).text).not.toMatch(/https?:/);
});

test('puts a tenant name on one line', () => {
  const tenantName = `Acme\r\nBcc: eve@evil.test\u2028\u202e${'x'.repeat(500)}`;
  const { subject, text } = mailText({ kind: 'invitation', link, lifetimeSec: 3600, tenantName, role: 'agent' });
  expect(subject).not.toMatch(/[\r\n\u202e]/);
  expect(subject.length).toBeLessThan(130);
  expect(text).not.toMatch(/^Bcc/m);
});
