import { describe, expect, test } from '@jest/globals';
import { createClientAddress } from './client-address.ts';

const trusted = createClientAddress([
  { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
  { address: 'fd00::', prefix: 8, family: 'ipv6' },
]);

describe('the client address', () => {
  test.each([
    ['uses the peer if no proxy is trusted', createClientAddress([]), '10.0.0.1', ['192.0.2.1'], '10.0.0.1'],
    ['uses the peer if it is not a trusted proxy', trusted, '192.0.2.9', ['192.0.2.1'], '192.0.2.9'],
    ['uses the address that a trusted proxy saw', trusted, '10.0.0.1', ['192.0.2.1'], '192.0.2.1'],
    [
      'uses the address that a trusted proxy saw, not the one that the client claimed',
      trusted,
      '10.0.0.1',
      ['1.1.1.1, 192.0.2.1'],
      '192.0.2.1',
    ],
    ['looks through two trusted proxies', trusted, '10.0.0.1', ['1.1.1.1, 192.0.2.1, 10.0.0.2'], '192.0.2.1'],
    ['reads two headers', trusted, '10.0.0.1', ['1.1.1.1', '192.0.2.1'], '192.0.2.1'],
    [
      'stops at the last known address before an invalid entry',
      trusted,
      '10.0.0.1',
      ['192.0.2.1, unknown'],
      '10.0.0.1',
    ],
    ['stops at the last known address before an empty entry', trusted, '10.0.0.1', ['192.0.2.1,'], '10.0.0.1'],
    ['stops at the last known address before a host name', trusted, '10.0.0.1', ['192.0.2.1, localhost'], '10.0.0.1'],
    ['stops at the last known address before an incomplete address', trusted, '10.0.0.1', ['192.0.2'], '10.0.0.1'],
    ['stops at the last known address before a hexadecimal form', trusted, '10.0.0.1', ['0xc0.0.2.1'], '10.0.0.1'],
    ['stops at the last known address before leading zeros', trusted, '10.0.0.1', ['192.0.2.010'], '10.0.0.1'],
    ['stops at the last known address before an open bracket', trusted, '10.0.0.1', ['[2001:db8::1'], '10.0.0.1'],
    ['stops at the last known address before IPv4 in brackets', trusted, '10.0.0.1', ['[192.0.2.1]'], '10.0.0.1'],
    ['stops at the last known address before an invalid port', trusted, '10.0.0.1', ['192.0.2.1:http'], '10.0.0.1'],
    [
      'stops at the last known address before an obfuscated identifier',
      trusted,
      '10.0.0.1',
      ['192.0.2.1, _hidden'],
      '10.0.0.1',
    ],
    ['stops at the last known address before U+00A0', trusted, '10.0.0.1', ['1.1.1.1,\xa0192.0.2.1'], '10.0.0.1'],
    ['stops at the last known address before a BOM', trusted, '10.0.0.1', ['1.1.1.1, 192.0.2.1\ufeff'], '10.0.0.1'],
    ['skips spaces and tabs', trusted, '10.0.0.1', ['1.1.1.1,\t 192.0.2.1 \t'], '192.0.2.1'],
    ['removes the port', trusted, '10.0.0.1', ['192.0.2.1:80'], '192.0.2.1'],
    ['removes the port of an IPv6 address', trusted, '10.0.0.1', ['[2001:db8::1]:443'], '2001:db8::1'],
    ['removes the brackets of an IPv6 address', trusted, '10.0.0.1', ['[2001:db8::1]'], '2001:db8::1'],
    ['removes the zone of an IPv6 address', trusted, '10.0.0.1', ['fe80::1%eth0'], 'fe80::1'],
    ['converts a hexadecimal IPv4-mapped address to IPv4', trusted, '10.0.0.1', ['::ffff:c000:201'], '192.0.2.1'],
    [
      'converts an uncompressed IPv4-mapped address to IPv4',
      trusted,
      '10.0.0.1',
      ['0:0:0:0:0:FFFF:192.0.2.1'],
      '192.0.2.1',
    ],
    [
      'looks through a trusted proxy with an IPv4-mapped address',
      trusted,
      '10.0.0.1',
      ['192.0.2.1, ::ffff:a00:2'],
      '192.0.2.1',
    ],
    ['looks through a trusted proxy with a port', trusted, '10.0.0.1', ['192.0.2.1, 10.0.0.2:4711'], '192.0.2.1'],
    [
      'uses the farthest address if all are trusted proxies',
      trusted,
      '10.0.0.1',
      ['10.0.0.4,10.0.0.3', '10.0.0.2'],
      '10.0.0.4',
    ],
    [
      'ignores addresses to the left of an untrusted one',
      trusted,
      '10.0.0.1',
      ['10.0.0.9, 203.0.113.7, 10.0.0.2'],
      '203.0.113.7',
    ],
    ['uses the proxy itself if X-Forwarded-For is missing', trusted, '10.0.0.1', [], '10.0.0.1'],
    ['converts an IPv4-mapped address to IPv4', trusted, '::ffff:10.0.0.1', ['::ffff:192.0.2.1'], '192.0.2.1'],
    ['IPv6', trusted, 'fd00::1', ['2001:db8::1'], '2001:db8::1'],
    ["removes the peer's zone", trusted, 'fe80::1%eth0', [], 'fe80::1'],
  ])('is %s', (_name, clientAddress, peer, forwardedFor, expected) => {
    expect(clientAddress(peer, forwardedFor)).toBe(expected);
  });
});
