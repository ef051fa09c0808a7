import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export type IntrospectionCall = Readonly<{
  token: string;
  form: URLSearchParams;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}>;

export type IntrospectionServer = Readonly<{
  url: string;
  /** The requests so far. */
  calls: readonly IntrospectionCall[];
  /** Answers every call with this from now on. */
  answerWith(answer: Readonly<Record<string, unknown>> | RequestListener): void;
  close(): Promise<void>;
}>;

/** An introspection endpoint (RFC 7662) that answers what a test says. At first, no token is active. */
export async function introspectionServer(): Promise<IntrospectionServer> {
  const calls: IntrospectionCall[] = [];
  let answer: RequestListener = json({ active: false });
  const server = createServer(async (request, response) => {
    const form = new URLSearchParams(await text(request));
    calls.push({ token: form.get('token') ?? '', form, headers: request.headers });
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect`,
    calls,
    answerWith(next) {
      answer = typeof next === 'function' ? next : json(next);
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const json =
  (value: unknown): RequestListener =>
  (_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  };
