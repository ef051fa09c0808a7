import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { installTools } from '@countersign/testing';

export type OpenIdOptions = Readonly<{
  /** Which key signs access tokens. ID tokens are signed with RS256. */
  algorithm?: 'RS256' | 'ES256';
  /** The header `typ` of access tokens. Default: `at+jwt`, as RFC 9068 demands. */
  typ?: string;
  /** Whether access tokens are opaque, and come with refresh tokens. Default: JWTs. */
  opaque?: boolean;
  /** Claims of the access tokens of users, besides those of RFC 9068. */
  claims?: Readonly<Record<string, unknown>>;
}>;

/** A certified OpenID provider (npm `oidc-provider`) with one user, in a separate process on a free port. */
export type OpenIdServer = Readonly<{
  issuer: string;
  redirectUri: string;
  /** Signs with a new key from now on. The old one stays published. */
  rotate(): Promise<void>;
  close(): Promise<void>;
}>;

export const audience = 'orders-api';
export const resource = 'https://orders.example.test/';
export const webClient = { id: 'web', secret: 'web-secret-of-32-characters-or-more' };
export const machineClient = { id: 'robot', secret: 'robot-secret-of-32-characters-or-more' };
/** May introspect tokens, with an answer in JSON, or a signed one. */
export const apiClient = { id: 'orders api', secret: 'api-secret: 32 characters, with + and %' };
export const signedApiClient = { id: 'signed-api', secret: apiClient.secret };
/** The header in which a proxy in front of the provider puts the client's certificate. */
export const certificateHeader = 'x-client-certificate';
export const account = 'ann-7f3a';

const directory = join(import.meta.dirname, 'openid');

export async function openIdServer(options: OpenIdOptions = {}): Promise<OpenIdServer> {
  installTools(directory);
  const redirectUri = 'http://127.0.0.1:9/callback';
  const child = fork(join(directory, 'provider-program.ts'), [JSON.stringify({ ...options, redirectUri })], {
    execArgv: ['--conditions=source'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const [issuer] = await once(child, 'message');
  return {
    issuer,
    redirectUri,
    async rotate() {
      const rotated = once(child, 'message');
      child.send('rotate');
      await rotated;
    },
    async close() {
      const closed = once(child, 'close');
      child.kill();
      await closed;
    },
  };
}
