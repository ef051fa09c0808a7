import { createRouter } from '@countersign/process-kit';
import type { Router } from 'express';
import {
  assertionAlgorithms,
  authorizationPath,
  grantTypes,
  publicUrl,
  tokenPath,
} from '../domain/clients/client-rules.ts';
import type { SigningKeys } from '../flows/keys/signing-keys.ts';

const metadataPath = '/.well-known/oauth-authorization-server';

type MetadataParts = Readonly<{ issuer: Readonly<{ issuer: string }>; scopes: readonly string[] }>;

/** Serves authorization server metadata (RFC 8414), where OAuth clients find the token endpoint. */
export function metadataRoutes({ issuer: { issuer }, scopes }: MetadataParts): Router {
  const metadata = {
    issuer,
    token_endpoint: publicUrl(issuer, tokenPath),
    // Optional for our grant types, but MCP clients reject metadata without it.
    authorization_endpoint: publicUrl(issuer, authorizationPath),
    jwks_uri: publicUrl(issuer, '/.well-known/jwks.json'),
    scopes_supported: scopes,
    // Required, but empty because no grant type uses the authorization endpoint.
    response_types_supported: [],
    grant_types_supported: grantTypes,
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
  };
  return createRouter().get(metadataPath, (_req, res) => {
    res.set('cache-control', 'public, max-age=300').json(metadata);
  });
}

/** Accepts requests without an identity, because verifiers need these keys first. */
export function keySetRoutes(signingKeys: SigningKeys): Router {
  return createRouter().get('/.well-known/jwks.json', (_req, res) => {
    const { body, etag } = signingKeys.published();
    // Once an ETag is set, Express handles If-None-Match.
    res.set({ 'cache-control': 'public, max-age=300', etag }).type('application/jwk-set+json').send(body);
  });
}
