import { request } from 'node:http';

/** The headers with which nginx describes a GET for this path, in addition to the client's own headers. */
export const questionOf = (path: string): Readonly<Record<string, string>> => ({
  'X-Countersign-Method': 'GET',
  'X-Countersign-Target': path,
  'X-Countersign-Scheme': 'http',
  'X-Countersign-Address': '127.0.0.1',
});

// Node's server writes these headers itself.
const connectionNames = /^(?:connection|keep-alive|date)$/i;

/**
 * Asks a decision endpoint as nginx does.
 *
 * @returns The answer's headers as alternating names and values, without connection headers.
 * @throws Error unless the answer is 200.
 */
export function ask(
  at: Readonly<{ socketPath: string } | { host: string; port: number }>,
  path: string,
  token: string,
): Promise<readonly string[]> {
  const headers = { Host: '127.0.0.1', ...questionOf(path), Authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    request({ ...at, path: '/decide', headers, agent: false }, (response) => {
      response.resume();
      const { statusCode, rawHeaders } = response;
      if (statusCode !== 200) reject(new Error(`the decision endpoint answered ${statusCode}`));
      else resolve(rawHeaders.filter((_, at) => !connectionNames.test(rawHeaders[at - (at % 2)] ?? '')));
    })
      .on('error', reject)
      .end();
  });
}
