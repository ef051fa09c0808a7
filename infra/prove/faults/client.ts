import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';

/** A client with its own IP address, which keeps its connections open. */
export type Client = Readonly<{ origin: string; agent: Agent }>;

export type Reply = Readonly<{ status: number; body: Readonly<Record<string, unknown>> }>;

export type Question = Readonly<{ method?: string; path: string; token?: string; body?: object }>;

/** @param number From 1 to 250: 127.0.1.`number` is its address. */
export const createClient = (origin: string, number: number): Client => ({
  origin,
  agent: new Agent({ keepAlive: true, localAddress: `127.0.1.${number}` }),
});

const patienceMs = 60_000;

/** @throws Error with the `code` of a connection that failed, and the address and port `from` which it was opened. */
export async function ask({ origin, agent }: Client, question: Question): Promise<Reply> {
  const { path, token, body, method = body === undefined ? 'GET' : 'POST' } = question;
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
  };
  let from: string | undefined;
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(origin + path, { method, agent, headers }, resolve);
      sent.setTimeout(patienceMs, () => sent.destroy(Object.assign(new Error('no answer'), { code: 'NO_ANSWER' })));
      sent.once('socket', (socket) => {
        const note = () => {
          from = `${socket.localAddress}:${socket.localPort}`;
        };
        if (socket.connecting) socket.once('connect', note);
        else note();
      });
      sent.on('error', reject).end(body && JSON.stringify(body));
    });
    const received = await text(response);
    const isJson = /json/.test(response.headers['content-type'] ?? '');
    return { status: response.statusCode ?? 0, body: isJson ? JSON.parse(received) : {} };
  } catch (error) {
    throw Object.assign(error as Error, { from });
  }
}

/** Like `ask`, but throws on a response from an unhealthy stack. */
export async function askForSure(client: Client, question: Question): Promise<Reply> {
  const reply = await ask(client, question);
  if (reply.status >= 500 || reply.status === 429) throw new Error(`${reply.status} ${reply.body.code}`);
  return reply;
}
