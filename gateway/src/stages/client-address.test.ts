import { describe, expect, test } from '@jest/globals';
import { createClientAddress } from './client-address.ts';

const trusted = createClientAddress([
  { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
  { address: 'fd00::', prefix: 8, family: 'ipv6' },
]);

describe('the client address', () => {
  test.each([
    ['the peer, where no proxy is trusted', createClientAddress([]), '10.0.0.1', ['192.0.2.1'], '10.0.0.1'],
    ['the peer, when it is no proxy', trusted, '192.0.2.9', ['192.0.2.1'], '192.0.2.9'],
    ['what a trusted proxy saw', trusted, '10.0.0.1', ['192.0.2.1'], '192.0.2.1'],
    ['what a trusted proxy saw, not what the client claimed', trusted, '10.0.0.1', ['1.1.1.1, 192.0.2.1'], '192.0.2.1'],
    ['through two trusted proxies', trusted, '10.0.0.1', ['1.1.1.1, 192.0.2.1, 10.0.0.2'], '192.0.2.1'],
    ['over two headers', trusted, '10.0.0.1', ['1.1.1.1', '192.0.2.1'], '192.0.2.1'],
    ['the last that is known, before nonsense', trusted, '10.0.0.1', ['192.0.2.1, unknown'], '10.0.0.1'],
    ['the last that is known, before nothing', trusted, '10.0.0.1', ['192.0.2.1,'], '10.0.0.1'],
    ['the last that is known, before a name', trusted, '10.0.0.1', ['192.0.2.1, localhost'], '10.0.0.1'],
    ['the last that is known, before a part of an address', trusted, '10.0.0.1', ['192.0.2'], '10.0.0.1'],
    ['the last that is known, before another way to write one', trusted, '10.0.0.1', ['0xc0.0.2.1'], '10.0.0.1'],
    ['the last that is known, before leading zeros', trusted, '10.0.0.1', ['192.0.2.010'], '10.0.0.1'],
    ['the last that is known, before an open bracket', trusted, '10.0.0.1', ['[2001:db8::1'], '10.0.0.1'],
    ['the last that is known, before IPv4 in brackets', trusted, '10.0.0.1', ['[192.0.2.1]'], '10.0.0.1'],
    ['the last that is known, before a port that is none', trusted, '10.0.0.1', ['192.0.2.1:http'], '10.0.0.1'],
    ['the last that is known, before an obfuscated one', trusted, '10.0.0.1', ['192.0.2.1, _hidden'], '10.0.0.1'],
    ['without its port', trusted, '10.0.0.1', ['192.0.2.1:80'], '192.0.2.1'],
    ['IPv6 without its port', trusted, '10.0.0.1', ['[2001:db8::1]:443'], '2001:db8::1'],
    ['IPv6 without brackets', trusted, '10.0.0.1', ['[2001:db8::1]'], '2001:db8::1'],
    ['IPv6 without a zone', trusted, '10.0.0.1', ['fe80::1%eth0'], 'fe80::1'],
    ['IPv4 in hexadecimal IPv6 clothes', trusted, '10.0.0.1', ['::ffff:c000:201'], '192.0.2.1'],
    ['IPv4 in long IPv6 clothes', trusted, '10.0.0.1', ['0:0:0:0:0:FFFF:192.0.2.1'], '192.0.2.1'],
    ['beyond a trusted proxy in such clothes', trusted, '10.0.0.1', ['192.0.2.1, ::ffff:a00:2'], '192.0.2.1'],
    ['beyond a trusted proxy with a port', trusted, '10.0.0.1', ['192.0.2.1, 10.0.0.2:4711'], '192.0.2.1'],
    ['the farthest, where all are proxies', trusted, '10.0.0.1', ['10.0.0.4,10.0.0.3', '10.0.0.2'], '10.0.0.4'],
    ['not what stands before an unknown one', trusted, '10.0.0.1', ['10.0.0.9, 203.0.113.7, 10.0.0.2'], '203.0.113.7'],
    ['the proxy itself, when it says nothing', trusted, '10.0.0.1', [], '10.0.0.1'],
    ['IPv4 in IPv6 clothes', trusted, '::ffff:10.0.0.1', ['::ffff:192.0.2.1'], '192.0.2.1'],
    ['IPv6', trusted, 'fd00::1', ['2001:db8::1'], '2001:db8::1'],
    ['without a zone', trusted, 'fe80::1%eth0', [], 'fe80::1'],
  ])('is %s', (_name, clientAddress, peer, forwardedFor, expected) => {
    expect(clientAddress(peer, forwardedFor)).toBe(expected);
  });
});
