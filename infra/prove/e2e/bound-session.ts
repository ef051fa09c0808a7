import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { calculateThumbprint, generateKeyPair, generateProof, type KeyPair } from 'dpop';
import { decodeJwt } from 'jose';
import { type Answer, call, logIn, password } from '../../stacks/client.ts';
import { repository } from '../../stacks/stack.ts';

const run = promisify(execFile);

/** A DPoP client, built with an independent library. */
class BoundClient {
  readonly #gateway: string;
  readonly #keys: KeyPair;

  private constructor(gateway: string, keys: KeyPair) {
    this.#gateway = gateway;
    this.#keys = keys;
  }

  static async create(gateway: string): Promise<BoundClient> {
    return new BoundClient(gateway, await generateKeyPair('ES256'));
  }

  thumbprint(): Promise<string> {
    return calculateThumbprint(this.#keys.publicKey);
  }

  async call(path: string, { body, token }: { body?: unknown; token?: string } = {}): Promise<Answer> {
    const url = `${this.#gateway}${path}`;
    const dpop = await generateProof(this.#keys, url, body === undefined ? 'GET' : 'POST', undefined, token);
    const headers = { dpop, ...(token !== undefined && { authorization: `DPoP ${token}` }) };
    return call(url, { headers, body });
  }

  async logIn(email: string): Promise<{ token: string; refreshToken: string }> {
    const answer = await this.call('/v1/auth/login', { body: { email, password } });
    expect([answer.status, answer.body.token_type]).toEqual([200, 'DPoP']);
    return { token: String(answer.body.access_token), refreshToken: String(answer.body.refresh_token) };
  }
}

/**
 * Tests sessions that are bound to the caller's key, from login to logout.
 *
 * @param gateway The gateway's URL, once it runs.
 */
export function testBoundSessions(gateway: () => string): void {
  const refusal = ({ status, body }: Answer) => [status, body.code];
  const email = 'agent@globex.test';

  test('a login with a proof is bound to its key, and its tokens are refused without a proof', async () => {
    const client = await BoundClient.create(gateway());
    const { token } = await client.logIn(email);
    expect(decodeJwt(token).cnf).toEqual({ jkt: await client.thumbprint() });
    expect((await client.call('/v1/users/me', { token })).status).toBe(200);
    expect(refusal(await call(`${gateway()}/v1/users/me`, { token }))).toEqual([401, 'token_proof_missing']);
    const thief = await BoundClient.create(gateway());
    expect(refusal(await thief.call('/v1/users/me', { token }))).toEqual([401, 'token_key_mismatch']);
  });

  test('the example for client developers works as printed', async () => {
    const page = readFileSync(resolve(repository, 'docs/bound-tokens.md'), 'utf8');
    const code = /```js\n([\s\S]*?)```/.exec(page)?.[1]?.replace('http://127.0.0.1:8080', gateway()) ?? '';
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: repository });
    expect(stdout).toBe('DPoP 200\n');
  });

  test('a bound session continues only with a proof of its key, and a failed attempt does not end it', async () => {
    const client = await BoundClient.create(gateway());
    const { refreshToken } = await client.logIn(email);
    const body = { refresh_token: refreshToken };
    const thief = await BoundClient.create(gateway());
    for (const path of ['/v1/auth/refresh', '/v1/auth/logout']) {
      expect(refusal(await call(`${gateway()}${path}`, { body }))).toEqual([401, 'invalid_refresh_token']);
      expect(refusal(await thief.call(path, { body }))).toEqual([401, 'invalid_refresh_token']);
    }
    const next = await client.call('/v1/auth/refresh', { body });
    expect([next.status, next.body.token_type]).toEqual([200, 'DPoP']);
    const token = String(next.body.access_token);
    expect(decodeJwt(token).cnf).toEqual({ jkt: await client.thumbprint() });
    const last = { refresh_token: next.body.refresh_token };
    expect((await client.call('/v1/auth/logout', { body: last })).status).toBe(204);
    await eventually(async () => {
      expect(refusal(await client.call('/v1/users/me', { token }))).toEqual([401, 'token_revoked']);
    });
  });

  test('a session without a key remains unbound when later requests send proofs', async () => {
    const { refreshToken } = await logIn(gateway(), email);
    const client = await BoundClient.create(gateway());
    const next = await client.call('/v1/auth/refresh', { body: { refresh_token: refreshToken } });
    expect([next.status, next.body.token_type]).toEqual([200, 'Bearer']);
    expect(decodeJwt(String(next.body.access_token))).not.toHaveProperty('cnf');
  });

  test('a login with an invalid proof is refused', async () => {
    const url = `${gateway()}/v1/auth/login`;
    const keys = await generateKeyPair('Ed25519');
    const dpop = await generateProof(keys, `${gateway()}/v1/auth/refresh`, 'POST');
    const answer = await call(url, { headers: { dpop }, body: { email, password } });
    expect(refusal(answer)).toEqual([400, 'invalid_dpop_proof']);
  });
}
