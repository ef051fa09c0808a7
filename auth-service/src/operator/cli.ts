import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { findCommand, usage } from './commands.ts';
import { operatorSocketPath } from './socket-path.ts';

// Imports only Node modules and its own siblings, so that a command starts fast.

/**
 * Runs `countersign-auth`.
 *
 * @returns The exit code: 0 for success, 1 if the command failed or the service did not respond, 2 for wrong usage.
 */
export async function runOperatorCli(args: readonly string[], env = process.env): Promise<number> {
  if (args[0] === 'help' || args.includes('--help') || args.includes('-h')) return say(`${usage()}\n`, 0);
  if (findCommand(args) === undefined) return say(`${usage()}\n`, 2);
  const path = operatorSocketPath(env);
  if (path === undefined) return say('countersign-auth: operator commands are disabled\n', 1);
  const { ok, lines } = await sendCommand(path, args);
  return say(`${lines.join('\n')}\n`, ok ? 0 : 1);
}

function say(text: string, exitCode: number): number {
  // In `keys list | head -1`, the reader closes the pipe early. The exit code stays the same.
  const stream = (exitCode === 0 ? process.stdout : process.stderr).on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  stream.write(text);
  return exitCode;
}

/** Sends a command to the running service. `ok` is false if it failed, or if no service listens on the socket. */
export async function sendCommand(
  socketPath: string,
  command: readonly string[],
): Promise<Readonly<{ ok: boolean; lines: readonly string[] }>> {
  const body = JSON.stringify({ command });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const sent = request({ socketPath, method: 'POST', path: '/', headers }).end(body);
  let response: IncomingMessage;
  try {
    [response] = (await once(sent, 'response')) as [IncomingMessage];
  } catch (error) {
    const { code = 'error' } = error as NodeJS.ErrnoException;
    const advice = 'Is it running with this COUNTERSIGN_HOME?';
    return { ok: false, lines: [`countersign-auth: no auth-service listens at ${socketPath} (${code}). ${advice}`] };
  }
  const answer = JSON.parse(await text(response)) as {
    lines?: string[];
    title?: string;
    errors?: { path: string; message: string }[];
    request_id?: string;
  };
  if (answer.lines !== undefined) return { ok: true, lines: answer.lines };
  const details = (answer.errors ?? []).map(({ path, message }) => `${path}: ${message}`);
  return { ok: false, lines: [`${answer.title} (request ${answer.request_id})`, ...details] };
}
