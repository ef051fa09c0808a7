import { describe, expect, test } from '@jest/globals';
import { createClientAddress } from './client-address.ts';

const trusted = createClientAddress([
  { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
  { address: 'fd00::', prefix: 8, family: 'ipv6' },
]);

describe('the client address', () => {
  test.each([
    ['the peer if no proxy is trusted', createClientAddress([]), '10.0.0.1', ['192.0.2.1'], '10.0.0.1'],
    ['the peer if it is not a trusted proxy', trusted, '192.0.2.9', ['192.0.2.1'], '192.0.2.9'],
    ['the address that a trusted proxy saw', trusted, '10.0.0.1', ['192.0.2.1'], '192.0.2.1'],
    [
      'the address that a trusted proxy saw, not the one that the client claimed',
      trusted,
      '10.0.0.1',
      ['1.1.1.1, 192.0.2.1'],
      '192.0.2.1',
    ],
    ['found through two trusted proxies', trusted, '10.0.0.1', ['1.1.1.1, 192.0.2.1, 10.0.0.2'], '192.0.2.1'],
    ['read from two headers', trusted, '10.0.0.1', ['1.1.1.1', '192.0.2.1'], '192.0.2.1'],
    ['the last known address, before an invalid entry', trusted, '10.0.0.1', ['192.0.2.1, unknown'], '10.0.0.1'],
    ['the last known address, before an empty entry', trusted, '10.0.0.1', ['192.0.2.1,'], '10.0.0.1'],
    ['the last known address, before a host name', trusted, '10.0.0.1', ['192.0.2.1, localhost'], '10.0.0.1'],
    ['the last known address, before an incomplete address', trusted, '10.0.0.1', ['192.0.2'], '10.0.0.1'],
    ['the last known address, before a hexadecimal form', trusted, '10.0.0.1', ['0xc0.0.2.1'], '10.0.0.1'],
    ['the last known address, before leading zeros', trusted, '10.0.0.1', ['192.0.2.010'], '10.0.0.1'],
    ['the last known address, before an open bracket', trusted, '10.0.0.1', ['[2001:db8::1'], '10.0.0.1'],
    ['the last known address, before IPv4 in brackets', trusted, '10.0.0.1', ['[192.0.2.1]'], '10.0.0.1'],
    ['the last known address, before an invalid port', trusted, '10.0.0.1', ['192.0.2.1:http'], '10.0.0.1'],
    [
      'the last known address, before an obfuscated identifier',
      trusted,
      '10.0.0.1',
      ['192.0.2.1, _hidden'],
      '10.0.0.1',
    ],
    ['without its port', trusted, '10.0.0.1', ['192.0.2.1:80'], '192.0.2.1'],
    ['IPv6 without its port', trusted, '10.0.0.1', ['[2001:db8::1]:443'], '2001:db8::1'],
    ['IPv6 without brackets', trusted, '10.0.0.1', ['[2001:db8::1]'], '2001:db8::1'],
    ['IPv6 without a zone', trusted, '10.0.0.1', ['fe80::1%eth0'], 'fe80::1'],
    ['the IPv4 address of a hexadecimal IPv4-mapped one', trusted, '10.0.0.1', ['::ffff:c000:201'], '192.0.2.1'],
    [
      'the IPv4 address of an uncompressed IPv4-mapped one',
      trusted,
      '10.0.0.1',
      ['0:0:0:0:0:FFFF:192.0.2.1'],
      '192.0.2.1',
    ],
    [
      'found beyond a trusted proxy with an IPv4-mapped address',
      trusted,
      '10.0.0.1',
      ['192.0.2.1, ::ffff:a00:2'],
      '192.0.2.1',
    ],
    ['found beyond a trusted proxy with a port', trusted, '10.0.0.1', ['192.0.2.1, 10.0.0.2:4711'], '192.0.2.1'],
    ['the farthest if all are trusted proxies', trusted, '10.0.0.1', ['10.0.0.4,10.0.0.3', '10.0.0.2'], '10.0.0.4'],
    [
      'not an address left of an untrusted one',
      trusted,
      '10.0.0.1',
      ['10.0.0.9, 203.0.113.7, 10.0.0.2'],
      '203.0.113.7',
    ],
    ['the proxy itself without X-Forwarded-For', trusted, '10.0.0.1', [], '10.0.0.1'],
    ['the IPv4 address of an IPv4-mapped one', trusted, '::ffff:10.0.0.1', ['::ffff:192.0.2.1'], '192.0.2.1'],
    ['IPv6', trusted, 'fd00::1', ['2001:db8::1'], '2001:db8::1'],
    ['without a zone', trusted, 'fe80::1%eth0', [], 'fe80::1'],
  ])('is %s', (_name, clientAddress, peer, forwardedFor, expected) => {
    expect(clientAddress(peer, forwardedFor)).toBe(expected);
  });
});
