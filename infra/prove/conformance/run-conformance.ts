import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { freePorts } from '@countersign/testing';
import { type ServiceOptions, startService } from '../../stacks/service-process.ts';
import { repository } from '../../stacks/stack.ts';

/**
 * Runs `countersign conformance` against a service that answers each request with the identity it saw
 * (docs/verifier-of-your-own.md).
 *
 * @returns The names of the requests that the service decided wrongly, sorted, those with a note, and the last line.
 */
export async function runConformance(options: ServiceOptions) {
  const [keysPort = 0] = await freePorts(1);
  const keysUrl = `http://127.0.0.1:${keysPort}/.well-known/jwks.json`;
  const service = await startService({ ...options, env: { ...options.env, GATEWAY_KEYS_URL: keysUrl } });
  try {
    const cli = ['gateway/bin/countersign.js', 'conformance', service.url, '--audience', 'my-service'];
    const child = spawn(process.execPath, [...cli, '--keys', `127.0.0.1:${keysPort}`], { cwd: repository });
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    const summary = /^\d{4} requests, .*$/m.exec(output)?.[0];
    if (summary === undefined) throw new Error(`${output}\n${errors}\n${service.output()}`);
    const faults = Array.from(output.matchAll(/^FAULT "(.*)" (?:was|got)/gm), ([, name = '']) => name).sort();
    const notes = Array.from(output.matchAll(/^note {2}"(.*)" (?:was|has)/gm), ([, name = '']) => name);
    return { faults, notes, summary };
  } finally {
    await service.stop();
  }
}
