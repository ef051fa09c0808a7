import { type GatewayConfig, requiredScopes } from '../config/config.ts';
import { resourceMetadataPath as prefix } from '../config/own-paths.ts';
import { AppError } from '../errors.ts';
import { parseRequestTarget, type RouteTable } from '../routing/route-table.ts';
import { proofAlgorithms } from '../tokens/dpop-proof.ts';
import type { OwnRequest } from './exchange.ts';
import { hostsOf } from './sanitize.ts';

export type OwnAnswer = Readonly<{
  status: number;
  headers: Readonly<Record<string, string>>;
  body?: string | undefined;
}>;

const methods = ['GET', 'HEAD'] as const;
const maxAgeSec = 300;
/** The longest path that a challenge names. For a longer path, it names the document about the whole gateway. */
const maxNamedPath = 512;

/**
 * Serves OAuth 2.0 protected resource metadata (RFC 9728) about the whole gateway, and about each path that requires a
 * token. MCP clients request it first. The resource is the public origin that the client named, followed by the path.
 *
 * @returns Undefined without `publicOrigins` or issuers, or if a configured route has that path.
 */
export function createResourceMetadata(
  config: Pick<GatewayConfig, 'publicOrigins' | 'issuers' | 'scopes' | 'certificate' | 'routes'>,
  table: RouteTable,
) {
  const { publicOrigins, issuers, scopes, certificate, routes } = config;
  const [firstOrigin] = publicOrigins;
  if (firstOrigin === undefined || issuers.length === 0) return undefined;
  if (routes.some(({ path }) => path.startsWith(prefix))) return undefined;
  // If two origins have the same host, the first wins.
  const originOf = new Map(
    publicOrigins.toReversed().flatMap((origin) => hostsOf(origin).map((host) => [host, origin] as const)),
  );
  const common = {
    // A template stands for many issuers, so the document cannot name one.
    authorization_servers: [
      ...new Set(issuers.flatMap(({ issuer, template }) => (issuer.includes(`{${template?.variable}}`) ? [] : issuer))),
    ],
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: proofAlgorithms,
    ...(certificate?.clients && { tls_client_certificate_bound_access_tokens: true }),
  };
  const originFor = (host: string | undefined) => originOf.get(host ?? '') ?? firstOrigin;

  function documentOf(path: string, host: string): string | undefined {
    if (path === '') return JSON.stringify({ resource: originFor(host), ...common, scopes_supported: scopes });
    const guarded = table.routesAt(path).filter(({ auth }) => auth === 'required' || auth === 'optional');
    if (guarded.length === 0) return undefined;
    return JSON.stringify({
      resource: originFor(host) + path,
      ...common,
      scopes_supported: [...new Set(guarded.flatMap(({ allow }) => requiredScopes(allow)))],
      ...(guarded.every(({ senderConstrained }) => senderConstrained) && {
        dpop_bound_access_tokens_required: true,
      }),
    });
  }

  const isAsked = (path: string) =>
    path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');

  return {
    urlFor: (host: string | undefined, path: string) =>
      originFor(host) + prefix + (path === '/' || path.length > maxNamedPath ? '' : path),
    /** @returns Undefined unless the path belongs to a document. */
    methodsAt: (path: string) =>
      isAsked(path) && documentOf(path.slice(prefix.length), firstOrigin) !== undefined ? methods : undefined,
    /** Undefined unless the request asks for a document. Throws `method_not_allowed`, `body_not_allowed`. */
    answer({ requestTarget, method, client, body }: OwnRequest): OwnAnswer | undefined {
      if (!requestTarget.startsWith(prefix)) return undefined;
      const { path, query } = parseRequestTarget(requestTarget);
      const document = isAsked(path) && query === '' ? documentOf(path.slice(prefix.length), client.host) : undefined;
      if (document === undefined) return undefined;
      if (method !== 'GET' && method !== 'HEAD') {
        throw new AppError('method_not_allowed', { headers: { allow: methods.join(', ') } });
      }
      if (body.present) throw new AppError('body_not_allowed');
      return {
        status: 200,
        headers: {
          'content-type': 'application/json',
          'cache-control': `public, max-age=${maxAgeSec}`,
          'content-length': String(Buffer.byteLength(document)),
        },
        body: method === 'GET' ? document : undefined,
      };
    },
  };
}
