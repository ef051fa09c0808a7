import { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { forUndici } from './connector.ts';

test.each([
  ['an alert that refuses our certificate', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', undefined],
  ['a reset', 'ECONNRESET', 'ERR_UPSTREAM_RESET'],
])('reports %s even if the end of the connection follows', (_name, code, told = code) => {
  const socket = forUndici(() => new Socket())({ hostname: '127.0.0.1', port: '1', protocol: 'https:' }, () => {});
  const seen: unknown[] = [];
  socket.on('error', (error: NodeJS.ErrnoException) => seen.push(error.code));
  socket.emit('error', Object.assign(new Error(code), { code }));
  socket.emit('error', Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }));
  expect(seen).toEqual([told, told]);
});
