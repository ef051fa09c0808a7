import type { GatewayConfig } from '../config/config.ts';
import { discoveryPathOf, keySetPath, tokenKeySetPath } from '../config/own-paths.ts';
import { tokenIssuerOf } from '../config/schema/identity-token.ts';
import type { GatewayKeySet } from './key-directory.ts';

/** Finds a document that the gateway publishes for services. Undefined if there is none at this path. */
export type PublishedAt = (path: string) => object | undefined;

type Sources = Readonly<{
  config: Pick<GatewayConfig, 'identity' | 'upstreams'>;
  gatewayKeys: Pick<GatewayKeySet, 'publicJwks' | 'tokenJwks'>;
}>;

/**
 * The key sets of signatures and of identity tokens, and for each upstream with tokens the metadata that a JWT library
 * reads if it takes an issuer URL (OpenID Connect Discovery 1.0 section 4). Everything comes from the configuration,
 * never from the request.
 */
export function publishedAt({ config, gatewayKeys }: Sources, path: string, nowSec: number): object | undefined {
  if (path === keySetPath) return gatewayKeys.publicJwks(nowSec);
  const { issuer } = config.identity;
  const receivers = [...config.upstreams.values()].filter(({ identity }) => identity.token !== undefined);
  if (receivers.length === 0 || issuer === undefined) return undefined;
  if (path === tokenKeySetPath) return gatewayKeys.tokenJwks(nowSec);
  const upstream = receivers.find(({ name }) => discoveryPathOf(name) === path);
  if (upstream === undefined || !URL.canParse(issuer) || issuer.startsWith('urn:')) return undefined;
  return {
    issuer: tokenIssuerOf(issuer, upstream.name),
    jwks_uri: issuer + tokenKeySetPath,
    id_token_signing_alg_values_supported: ['ES256'],
  };
}
