import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { freePorts } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { startProgram } from '../packages/service-process.ts';

const repository = resolve(import.meta.dirname, '../..');

/** Services that answer each request with the identity they saw (docs/verifier-of-your-own.md). */
const services = ['express', 'fastify', 'hono'].map((name) => ({
  name,
  command: process.execPath,
  args: ['--conditions=source', '--max-http-header-size=65536', `infra/conformance/${name}.js`],
  // A Web `Request` has no fragment, joins repeated headers, drops the body of a GET, and has an empty one otherwise.
  faults:
    name === 'hono'
      ? [
          'content_digest_mismatch: a body on a GET with the empty digest',
          'header_duplicated: two content-types on a GET',
          'target_malformed: /.well-known/a#b is not exempt',
          'user, a content-encoding without a body',
        ]
      : [],
}));

test.each(services)('conformance finds only known faults in a service on $name', async ({ command, args, faults }) => {
  const [port = 0, keysPort = 0] = await freePorts(2);
  const env = { PORT: String(port), GATEWAY_KEYS_URL: `http://127.0.0.1:${keysPort}/.well-known/jwks.json` };
  const service = startProgram({ command, args, cwd: repository, env });
  try {
    const url = `http://127.0.0.1:${port}`;
    const cli = ['gateway/bin/countersign.js', 'conformance', url, '--audience', 'my-service'];
    const child = spawn(process.execPath, [...cli, '--keys', `127.0.0.1:${keysPort}`], { cwd: repository });
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
    expect(Array.from(output.matchAll(/^FAULT "(.*?)" was/gm), ([, name]) => name).sort()).toEqual(faults);
    expect(output).toMatch(new RegExp(`^\\d{4} requests, ${faults.length} faults`, 'm'));
  } finally {
    await service.stop();
  }
});
