import { expect, test } from '@jest/globals';
import { mayConnectTo, problemOfUrl } from './addresses.ts';

test.each([
  '127.0.0.1',
  '127.1.2.3',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '100.100.100.200',
  '169.254.169.254',
  '168.63.129.16',
  '192.0.0.192',
  '192.0.2.1',
  '198.18.0.1',
  '203.0.113.9',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '0.0.0.0',
  '0.1.2.3',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:a9fe:a9fe',
  '::10.0.0.1',
  'fe80::1',
  'fe80::1%eth0',
  'fc00::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  'fec0::1',
  'ff02::1',
  '64:ff9b::10.0.0.1',
  '64:ff9b:1::1',
  '2002:0a00:0001::1',
  '2001::1',
  '2001:db8::1',
  '100::1',
  'not an address',
])('a delivery never connects to %s', (address) => {
  expect(mayConnectTo(address, 'public')).toBe(false);
});

test.each(['1.1.1.1', '93.184.216.34', '172.32.0.1', '2606:4700:4700::1111', '::ffff:1.1.1.1'])(
  'a delivery may connect to %s',
  (address) => {
    expect(mayConnectTo(address, 'public')).toBe(true);
  },
);

test('the switch for development allows loopback and nothing else', () => {
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
])('%s as the URL of a webhook', (url, allowed) => {
  expect(problemOfUrl(url, 'public') === undefined).toBe(allowed);
});

test('the switch for development allows plain http on this machine', () => {
  expect(problemOfUrl('http://127.0.0.1:8080/hook', 'loopback')).toBeUndefined();
  expect(problemOfUrl('http://localhost/hook', 'loopback')).toBeUndefined();
  expect(problemOfUrl('http://10.0.0.1/hook', 'loopback')).toBe('must be a public address');
  expect(problemOfUrl('http://hooks.example.com/', 'loopback')).toBe('must be an https URL');
});
