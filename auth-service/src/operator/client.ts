import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';

/** No service is listening; the message names the socket. */
export class NotReached extends Error {}

export type OperatorAnswer = Readonly<{ ok: boolean; lines: readonly string[] }>;

/** Sends one command to the running service. @throws NotReached when none listens there. */
export async function sendCommand(socketPath: string, command: readonly string[]): Promise<OperatorAnswer> {
  const body = JSON.stringify({ command });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const sent = request({ socketPath, method: 'POST', path: '/', headers }).end(body);
  let response: IncomingMessage;
  try {
    [response] = (await once(sent, 'response')) as [IncomingMessage];
  } catch (error) {
    const { code = 'error' } = error as NodeJS.ErrnoException;
    throw new NotReached(
      `no auth-service listens at ${socketPath} (${code}); is it running, with this COUNTERSIGN_HOME?`,
    );
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
