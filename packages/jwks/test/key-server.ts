import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export type KeyServer = {
  readonly url: string;
  /** Answers the following requests. */
  answer: RequestListener;
  readonly requests: IncomingMessage[];
  close(): Promise<void>;
};

export const json =
  (value: unknown, headers: Record<string, string> = {}): RequestListener =>
  (_req, res) =>
    void res.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

export const status =
  (code: number, headers: Record<string, string> = {}): RequestListener =>
  (_req, res) =>
    void res.writeHead(code, headers).end('{"keys":[]}');

export const text =
  (body: string): RequestListener =>
  (_req, res) =>
    void res.writeHead(200).end(body);

/** Starts a real JWKS endpoint on a free port. Tests set `answer` to make it fail. */
export async function startKeyServer(answer: RequestListener): Promise<KeyServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((req, res) => {
    requests.push(req);
    state.answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const state: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    answer,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return state;
}
