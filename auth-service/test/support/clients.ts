import type { IdentityClaims } from '@countersign/identity';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { assertionType } from '../../src/domain/clients/client-authentication.ts';
import type { Account, AccountsWorld } from './accounts-world.ts';
import { issuer } from './service.ts';

export const scopes = 'complaints.read complaints.write users.read';

export type Form = Readonly<Record<string, string>> | string;

export const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
});

type Options = Readonly<{
  headers?: Record<string, string>;
  ip?: string;
  contentType?: string;
  query?: string;
  as?: IdentityClaims;
}>;

/** Calls the token endpoint with a form. */
export function askForToken(world: AccountsWorld, form: Form, { query = '', ...options }: Options = {}) {
  return world.call('POST', `/v1/auth/token${query}`, {
    contentType: 'application/x-www-form-urlencoded',
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    ...options,
  });
}

export type MadeOAuthClient = Readonly<{ id: string; secret: string }>;

/** A client of the administrator's tenant, created through the API. */
export async function makeOAuthClient(
  world: AccountsWorld,
  admin: Account,
  more: object = {},
): Promise<MadeOAuthClient> {
  const { status, body, text } = await world.post(
    `/v1/auth/tenants/${admin.tenant.id}/clients`,
    { name: 'Nightly export', scopes: ['complaints.read', 'users.read'], ...more },
    admin,
  );
  if (status !== 201) throw new Error(text);
  return { id: body.client_id, secret: body.client_secret };
}

export const withSecret = ({ id, secret }: MadeOAuthClient) => ({
  grant_type: 'client_credentials',
  client_id: id,
  client_secret: secret,
});

/** A key pair of a client, and assertions made with it. */
export async function clientKey(alg: string, kid = uuidv7()) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const exported = await exportJWK(publicKey);
  const jwk = { ...exported, kid, ...(exported.kty === 'RSA' && { alg }) };
  const sign = (claims: Record<string, unknown>, header: Record<string, unknown> = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey, { crit: { x: true } });
  return {
    jwk,
    privateKey,
    sign,
    async assertion(clientId: string, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
      const now = Math.floor(Date.now() / 1000);
      const all = { iss: clientId, sub: clientId, aud: issuer, jti: uuidv7(), iat: now, exp: now + 60, ...claims };
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      return sign(given, header);
    },
  };
}

export const withAssertion = (assertion: string) => ({
  grant_type: 'client_credentials',
  client_assertion_type: assertionType,
  client_assertion: assertion,
});

export const claimsOf = (answer: { body: { access_token: string } }) => decodeJwt(answer.body.access_token);
