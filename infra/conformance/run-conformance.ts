import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { freePorts, startProcess } from '@countersign/testing';

const repository = resolve(import.meta.dirname, '../..');

/** A service that answers each request with the identity it saw (docs/verifier-of-your-own.md). */
export type EchoService = Readonly<{
  command: string;
  args(port: number): readonly string[];
  /** In the repository, or anywhere. */
  folder?: string;
  env?: NodeJS.ProcessEnv;
}>;

export type Outcome = Readonly<{
  /** The names of the requests that the service decided wrongly, sorted. */
  faults: readonly string[];
  /** The last line. */
  summary: string;
}>;

/** Starts a service, and runs `countersign conformance` against it. */
export async function runConformance({ command, args, folder = '', env = {} }: EchoService): Promise<Outcome> {
  const [port = 0, keysPort = 0] = await freePorts(2);
  const service = startProcess({
    ownGroup: true,
    command,
    args: args(port),
    cwd: resolve(repository, folder),
    env: {
      ...env,
      PORT: String(port),
      GATEWAY_KEYS_URL: `http://127.0.0.1:${keysPort}/.well-known/jwks.json`,
    },
  });
  try {
    const cli = ['gateway/bin/countersign.js', 'conformance', `http://127.0.0.1:${port}`, '--audience', 'my-service'];
    const child = spawn(process.execPath, [...cli, '--keys', `127.0.0.1:${keysPort}`], { cwd: repository });
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    const summary = /^\d{4} requests, .*$/m.exec(output)?.[0];
    if (summary === undefined) throw new Error(`${output}\n${errors}\n${service.output()}`);
    return {
      faults: Array.from(output.matchAll(/^FAULT "(.*)" (?:was|got)/gm), ([, name = '']) => name).sort(),
      summary,
    };
  } finally {
    await service.stop();
  }
}
