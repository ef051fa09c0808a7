import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import { testAuthority } from './certificates.ts';

describe('a certificate for a test', () => {
  test('contains its hosts and its authority', () => {
    const authority = testAuthority();
    const { cert } = authority.issue(['service.test', '127.0.0.1']);
    const parsed = new X509Certificate(cert);
    expect([parsed.checkHost('service.test'), parsed.checkIP('127.0.0.1')]).toEqual(['service.test', '127.0.0.1']);
    expect(parsed.checkHost('other.test')).toBeUndefined();
    expect(parsed.checkIssued(new X509Certificate(authority.ca))).toBe(true);
    expect(new X509Certificate(authority.ca).ca).toBe(true);
  });

  test('serves TLS only to clients that trust the authority', async () => {
    const authority = testAuthority();
    const server = createServer(authority.issue(['127.0.0.1']), (socket) => socket.end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const trusting = connect({ port, host: '127.0.0.1', ca: authority.ca });
    await once(trusting, 'secureConnect');
    trusting.destroy();
    const doubting = connect({ port, host: '127.0.0.1', ca: testAuthority().ca });
    await expect(once(doubting, 'secureConnect')).rejects.toThrow();
    server.close();
  });
});
