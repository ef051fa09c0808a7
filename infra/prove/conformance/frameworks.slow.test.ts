import { expect, test } from '@jest/globals';
import { repository } from '../../stacks/stack.ts';
import { runConformance } from './run-conformance.ts';

/** A Web `Request` has no fragment, drops the body of a GET, and has an empty one otherwise. */
const unseenInRequests = [
  'content_digest_mismatch: a body on a GET with the empty digest',
  'target_malformed: /.well-known/a#b is not exempt',
  'user, a content-encoding without a body',
];

test.each([
  ['express', []],
  ['fastify', []],
  ['hono', unseenInRequests],
])('conformance finds only known faults in a service on %s', async (name, known) => {
  const args = () => ['--conditions=source', '--max-http-header-size=65536', `infra/prove/conformance/${name}.js`];
  const { faults, summary } = await runConformance({ command: process.execPath, args, cwd: repository });
  expect([faults, summary]).toEqual([known, expect.stringContaining(` ${known.length} faults`)]);
});
