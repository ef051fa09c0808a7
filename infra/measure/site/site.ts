import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, mintIssuer } from '@countersign/testing';
import { type RunningServer, type ServerOptions, startServer } from '../machine/processes.ts';
import { startIssuer } from './issuer.ts';

/** The environment of every server under test: an issuer with its tokens, and one service. */
export type Site = Awaited<ReturnType<typeof openSite>>;

const issuerName = 'http://issuer.test';
const audience = 'complaints-api';
const tokenCount = 200;
const roles = ['complainant', 'agent', 'admin'];
const tokenLifetimeSec = 3_600;

/** @param cores The cores of the service, in the form of `taskset -c`. */
export async function openSite(cores: string | undefined) {
  // For benchmark files. Removed by `close`.
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const minted = await mintIssuer({ issuer: issuerName, audience, alg: 'RS256' });
  const exp = Math.floor(Date.now() / 1000) + tokenLifetimeSec;
  const mint = (count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        minted.accessToken({ user_id: `user-${index}`, role: roles[index % roles.length], exp }),
      ),
    );
  const tokens = await mint(tokenCount);
  const publicKeyFile = join(directory, 'issuer.pem');
  const [jwk = {}] = minted.jwks.keys;
  writeFileSync(publicKeyFile, createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }));
  const issuer = await startIssuer(minted.jwks);
  const [upstreamPort = 0] = await freePorts(1);
  const upstreamOrigin = `http://127.0.0.1:${upstreamPort}`;
  const upstream = await startServer({
    command: process.execPath,
    args: [join(import.meta.dirname, 'upstream-program.ts'), String(upstreamPort)],
    cores,
    ready: () => expectOk(upstreamOrigin),
  });
  const running: RunningServer[] = [];
  const stopServers = async () => {
    for (const server of running.splice(0)) await server.stop();
  };
  return {
    directory,
    issuer: issuerName,
    audience,
    jwks: minted.jwks,
    publicKeyFile,
    /** The URL of the key set and the revocation feeds. */
    issuerOrigin: issuer.url,
    upstreamOrigin,
    tokens,
    /** Creates tokens of as many users. */
    mint,
    /** Writes a file for the load generator: the paths in rotation, each with the next token. */
    writeRequests(name: string, paths: readonly string[], senders: readonly string[] = tokens): string {
      const file = join(directory, name);
      // At least one path per token, and one token per path.
      const lines = Array.from({ length: Math.max(paths.length, senders.length) }, (_, index) => {
        return `${paths[index % paths.length]} ${senders[index % senders.length]}\n`;
      });
      writeFileSync(file, lines.join(''));
      return file;
    },
    /** Starts a server under test, which `stopServers` and `close` stop. */
    async start(options: ServerOptions): Promise<RunningServer> {
      const server = await startServer(options);
      running.push(server);
      return server;
    },
    stopServers,
    async close() {
      await stopServers();
      await upstream.stop();
      await issuer.close();
      rmSync(directory, { recursive: true });
    },
  };
}

/** Sends one GET. @throws Error unless the response is 2xx. */
export async function expectOk(url: string, token?: string): Promise<void> {
  const { ok, status } = await fetch(url, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  if (!ok) throw new Error(`${url} responded with ${status}`);
}
