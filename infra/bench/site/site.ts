import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, mintIssuer, type TestIssuer } from '@countersign/testing';
import { startServer } from '../machine/processes.ts';
import { startIssuer } from './issuer.ts';

/** The environment of every server under test: an issuer with its tokens, and one service. */
export type Site = Readonly<{
  /** For benchmark files. Removed by `close`. */
  directory: string;
  issuer: string;
  audience: string;
  /** The public key of the issuer, in a PEM file. */
  publicKeyFile: string;
  /** The URL of the key set and the revocation feeds. */
  issuerOrigin: string;
  upstreamOrigin: string;
  tokens: readonly string[];
  /** Writes a file for the load generator: the paths in rotation, each with the next token. */
  writeRequests(name: string, paths: readonly string[]): string;
  close(): Promise<void>;
}>;

const issuerName = 'http://issuer.test';
const audience = 'complaints-api';
const tokenCount = 200;
const roles = ['complainant', 'agent', 'admin'];
const tokenLifetimeSec = 3_600;

/** @param cores The cores of the service, in the form of `taskset -c`. */
export async function openSite(cores: string | undefined): Promise<Site> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const issuer = await mintIssuer({ issuer: issuerName, audience, alg: 'RS256' });
  const tokens = await mintTokens(issuer);
  const publicKeyFile = join(directory, 'issuer.pem');
  const [jwk = {}] = issuer.jwks.keys;
  writeFileSync(publicKeyFile, createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }));
  const { origin: issuerOrigin, stop } = await startIssuer(issuer.jwks);
  const [upstreamPort = 0] = await freePorts(1);
  const upstreamOrigin = `http://127.0.0.1:${upstreamPort}`;
  const upstream = await startServer({
    command: process.execPath,
    args: [join(import.meta.dirname, 'upstream-program.ts'), String(upstreamPort)],
    cores,
    ready: () => expectOk(upstreamOrigin),
  });
  return {
    directory,
    issuer: issuerName,
    audience,
    publicKeyFile,
    issuerOrigin,
    upstreamOrigin,
    tokens,
    writeRequests(name, paths) {
      const file = join(directory, name);
      // At least one path per token, and one token per path.
      const lines = Array.from({ length: Math.max(paths.length, tokens.length) }, (_, index) => {
        return `${paths[index % paths.length]} ${tokens[index % tokens.length]}\n`;
      });
      writeFileSync(file, lines.join(''));
      return file;
    },
    async close() {
      await upstream.stop();
      await stop();
      rmSync(directory, { recursive: true });
    },
  };
}

function mintTokens(issuer: TestIssuer): Promise<string[]> {
  const expiresAtSec = Math.floor(Date.now() / 1000) + tokenLifetimeSec;
  return Promise.all(
    Array.from({ length: tokenCount }, (_, index) => {
      const role = roles[index % roles.length];
      return issuer.accessToken({ user_id: `user-${index}`, role, exp: expiresAtSec });
    }),
  );
}

/** Sends one GET. @throws Error unless the response is 2xx. */
export async function expectOk(url: string, token?: string): Promise<void> {
  const { status } = await fetch(url, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  if (status < 200 || status > 299) throw new Error(`${url} responded with ${status}`);
}
