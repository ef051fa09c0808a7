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
    ['the last that is known, before a port', trusted, '10.0.0.1', ['192.0.2.1:80'], '10.0.0.1'],
    ['the proxy itself, when it says nothing', trusted, '10.0.0.1', [], '10.0.0.1'],
    ['IPv4 in IPv6 clothes', trusted, '::ffff:10.0.0.1', ['::ffff:192.0.2.1'], '192.0.2.1'],
    ['IPv6', trusted, 'fd00::1', ['2001:db8::1'], '2001:db8::1'],
    ['without a zone', trusted, 'fe80::1%eth0', [], 'fe80::1'],
  ])('is %s', (_name, clientAddress, peer, forwardedFor, expected) => {
    expect(clientAddress(peer, forwardedFor)).toBe(expected);
  });
});
