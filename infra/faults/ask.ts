import { Agent, request } from 'node:http';

/** A client with its own IP address, which keeps its connections open. */
export type Client = Readonly<{ origin: string; agent: Agent }>;

export type Reply = Readonly<{ status: number; body: Readonly<Record<string, unknown>> }>;

export type Question = Readonly<{ method?: string; path: string; token?: string | undefined; body?: object }>;

/** @param number From 1 to 250: 127.0.1.`number` is its address. */
export const createClient = (origin: string, number: number): Client => ({
  origin,
  agent: new Agent({ keepAlive: true, localAddress: `127.0.1.${number}` }),
});

const patienceMs = 60_000;

/** @throws Error with the `code` of a connection that failed, and the address and port `from` which it was opened. */
export function ask(client: Client, { method, path, token, body }: Question): Promise<Reply> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(payload !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(payload)),
    }),
  };
  const options = { method: method ?? (body === undefined ? 'GET' : 'POST'), agent: client.agent, headers };
  return new Promise((resolve, reject) => {
    let from: string | undefined;
    const fail = (error: Error) => reject(Object.assign(error, { from }));
    const sent = request(client.origin + path, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', fail);
      response.on('end', () => {
        const isJson = /json/.test(response.headers['content-type'] ?? '');
        resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : {} });
      });
    });
    sent.setTimeout(patienceMs, () => sent.destroy(Object.assign(new Error('no answer'), { code: 'NO_ANSWER' })));
    sent.once('socket', (socket) => {
      const note = () => {
        from = `${socket.localAddress}:${socket.localPort}`;
      };
      if (socket.connecting) socket.once('connect', note);
      else note();
    });
    sent.on('error', fail);
    sent.end(payload);
  });
}
