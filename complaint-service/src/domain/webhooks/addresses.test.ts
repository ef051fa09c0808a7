import { expect, test } from '@jest/globals';
import { mayConnectTo, problemOfUrl } from './addresses.ts';

test.each([
  ['1.1.1.1', true],
  ['2606:4700:4700::1111', true],
  ['127.0.0.1', false],
  ['10.0.0.1', false],
  ['169.254.169.254', false],
  ['not an address', false],
])('a delivery can connect to %s: %s', (address, allowed) => {
  expect(mayConnectTo(address, 'public')).toBe(allowed);
});

test('the setting for development allows only loopback addresses', () => {
  expect(
    ['127.0.0.1', '::1', '::ffff:127.0.0.1', '10.0.0.1', '169.254.169.254', '::'].map((address) =>
      mayConnectTo(address, 'loopback'),
    ),
  ).toEqual([true, true, true, false, false, false]);
});

test.each<[string, boolean]>([
  ['https://hooks.example.com/a?b=c', true],
  ['https://hooks.example.com:8443/a', true],
  ['https://1.1.1.1/', true],
  ['http://hooks.example.com/', false],
  ['http://127.0.0.1/', false],
  ['https://127.0.0.1/', false],
  ['https://2130706433/', false],
  ['https://0x7f.1/', false],
  ['https://[::1]/', false],
  ['https://[::ffff:7f00:1]/', false],
  ['https://169.254.169.254/latest/meta-data', false],
  ['https://user:password@hooks.example.com/', false],
  ['https://@hooks.example.com/', false],
  ['https://hooks.example.com/#a', false],
  ['https://hooks.example.com', false],
  ['https://HOOKS.example.com/', false],
  ['https://hooks.example.com/../a', false],
  ['https://hooks.example.com/a\r\nx: y', false],
  ['https://hooks.éxample.com/', false],
  ['file:///etc/passwd', false],
  ['gopher://hooks.example.com/', false],
  ['javascript:alert(1)', false],
  ['', false],
  [`https://hooks.example.com/${'a'.repeat(2_000)}`, false],
])('checks %s as the URL of a webhook', (url, allowed) => {
  expect(problemOfUrl(url, 'public') === undefined).toBe(allowed);
});

test('the setting for development allows plain http on this machine', () => {
  expect(problemOfUrl('http://127.0.0.1:8080/hook', 'loopback')).toBeUndefined();
  expect(problemOfUrl('http://localhost/hook', 'loopback')).toBeUndefined();
  expect(problemOfUrl('http://10.0.0.1/hook', 'loopback')).toBe('must be a public address');
  expect(problemOfUrl('http://hooks.example.com/', 'loopback')).toBe('must be an https URL');
});
