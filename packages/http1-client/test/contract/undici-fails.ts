/*
 * The cases that undici fails, by title. If undici passes a case, remove it from this list, because the suite fails
 * until then.
 */

const isRefused = (what: string): string =>
  `with ${what} is refused, whole or byte by byte, and its connection is not reused`;
const announces = (method: string, head: string): string =>
  `to ${method} that announces a body has none, and its connection is reused: "${head}"`;

export const undiciFails: readonly string[] = [
  // undici treats an unrequested 100 as an error. The gateway never requests one, but some services send it.
  'may follow 1 early hints',
  // undici closes the connection.
  announces('HEAD', 'HTTP/1.1 200 OK\\r\\nContent-Length: 60\\r\\n\\r\\n'),
  announces('HEAD', 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'),
  announces('GET', 'HTTP/1.1 304 Not Modified\\r\\nContent-Length: 60\\r\\n\\r\\n'),
  // undici treats a reset as the end of a body.
  'in a body that lasts until the end, reset is an error',
  'that the service reset is not used, even if this process has not noticed yet',
  // After a pause, undici applies no timeout to the rest of a body.
  'applies again after a pause of 100 ms',
  'applies again after a pause of 500 ms',
  // undici removes the body from a GET.
  'with a Content-Length is refused, and nothing arrives',
  // undici reads these, waits for their end, or fails with another error.
  ...[
    'HTTP/2.0',
    'a status below 100',
    'a NUL inside the reason',
    'an endless reason',
    'two codings',
    'chunked twice',
    'chunked before another coding',
    'an unknown coding',
    'an empty coding',
    'a transfer coding in HTTP/1.0',
    'a transfer coding in a 204',
    'an endless chunk extension',
    'a protocol switch',
    'a 101 without Upgrade',
    'ten informational responses',
    'only informational responses',
  ].map(isRefused),
];

export const undiciFailsWithTls: readonly string[] = [
  // undici treats the end of TCP as the end of a body, without close_notify.
  ...[0, 1, 2, 3, 4].map((index) => `is an error without close_notify (ends with a record ${index})`),
  'arrives byte by byte and ends with a bare FIN',
  'is an error if a record was truncated',
  // undici continues with its existing connections. The gateway opens a new pool.
  'changed certificates apply to new connections, without the old session',
];
