/*
 * The cases that undici fails, by their titles. A case that undici passes again must leave the list: the suite fails while
 * it stands here.
 */

const isRefused = (what: string): string =>
  `with ${what} is refused, whole or byte by byte, and its connection is not used again`;
const announces = (method: string, head: string): string =>
  `to ${method} that announces a body has none, and its connection is used again: "${head}"`;

export const undiciFails: readonly string[] = [
  // It treats an unrequested 100 as an error. The gateway never requests one, but some services send it.
  'may follow 1 early hints',
  // It closes the connection.
  announces('HEAD', 'HTTP/1.1 200 OK\\r\\nContent-Length: 60\\r\\n\\r\\n'),
  announces('HEAD', 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'),
  announces('GET', 'HTTP/1.1 304 Not Modified\\r\\nContent-Length: 60\\r\\n\\r\\n'),
  // It treats a reset as the end of a body.
  'in a body until the end, reset is an error',
  'that the service reset is not used, even if this process has not noticed yet',
  // After a pause, no timeout applies to the rest of a body.
  'counts again after a pause of 100 ms',
  'counts again after a pause of 500 ms',
  // It removes the body from a GET.
  'with a Content-Length is refused, and nothing arrives',
  // It reads these, waits for their end, or fails with another error.
  ...[
    'HTTP/2.0',
    'a status below 100',
    'a NUL inside the reason',
    'an endless reason',
    'two codings',
    'chunked twice',
    'chunked not last',
    'an unknown coding',
    'an empty coding',
    'a coding on HTTP/1.0',
    'a coding on 204',
    'an endless chunk extension',
    'a switch of protocols',
    'a 101 without Upgrade',
    'ten informational responses',
    'only informational responses',
  ].map(isRefused),
];

export const undiciFailsWithTls: readonly string[] = [
  // It treats the end of TCP as the end of a body, without close_notify.
  ...[0, 1, 2, 3, 4].map((index) => `is an error without it (ends with a record ${index})`),
  'arrives byte by byte and ends with a bare FIN',
  'is an error when a record was cut',
  // It continues with its existing connections. The gateway opens a new pool.
  'changed certificates apply to new connections, without the old session',
];
