import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { compile, load, resetTicks, src } from '../../identity/test/load-library.ts';
import { toSnake } from '../../identity/test/verifier.ts';

/** A change of the verifier's source. */
export type Fault = readonly [name: string, file: string, from: string, to: string];

export type EchoOptions = Readonly<{
  fault?: Fault | undefined;
  /** Whether the memory of nonces began long ago. Default: true. */
  isOld?: boolean;
  /** Default: any free port. */
  port?: number;
}>;

/** A service that answers each request with the identity it saw, by our verifier or by a faulty one. */
export async function startEchoService(
  keySetUrl: string,
  audience: string,
  { fault, isOld = true, port = 0 }: EchoOptions = {},
) {
  const library = load({ ...faulty(refusesPublished), ...(fault && faulty(fault)) });
  const keys = library.gatewayKeys({ url: keySetUrl });
  const replay = library.memoryReplay({ nowMs: isOld ? () => 0 : Date.now });
  const verifier = library.createVerifier({ audience, keys, replay });
  keys.start();
  const server = createServer({ maxHeaderSize: 65_536 }, async (request, response) => {
    const { method = '', url: target = '', rawHeaders } = request;
    resetTicks();
    try {
      if (library.isExempt(method, target)) return void response.end();
      const head = await verifier.verifyHead({ method, target, rawHeaders });
      const identity = await head.complete(await buffer(request));
      response.setHeader('content-type', 'application/json').end(JSON.stringify(toSnake(identity)));
    } catch (error) {
      const problem = library.problemForError(error, { target, requestId: undefined });
      if (problem === undefined) response.writeHead(500).end(String(error));
      else response.writeHead(problem.status, problem.headers).end(problem.body);
    }
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    stop() {
      keys.stop();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The library that the vectors test allows them. */
const refusesPublished: Fault = ['', 'keys/published-keys.ts', 'areAllowed = true;', ''];

function faulty([, file, from, to]: Fault): Record<string, string> {
  const source = readFileSync(resolve(src, file), 'utf8');
  if (!source.includes(from)) throw new Error(`${file} no longer has: ${from}`);
  return { [file]: compile(source.replace(from, () => to)) };
}
