import type { GatewayConfig } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { headersFrom } from '../http/header-fields.ts';
import { securityHeaders } from '../http/security-headers.ts';
import type { RouteTable } from '../routing/route-table.ts';

import { createCors, createUpgradeOrigin, type PreflightHeaders } from './cors.ts';
import type { Incoming } from './exchange.ts';
import type { Stages } from './pipeline.ts';
import { createResourceMetadata, type OwnAnswer, type ResourceMetadata } from './resource-metadata.ts';
import { authorize, createMatch } from './route.ts';
import { createSanitize } from './sanitize.ts';

type ConfiguredStage = 'sanitize' | 'answerItself' | 'checkOrigin' | 'match' | 'authorize';

/** The stages of a listener that depend on its configuration alone. */
export function configuredStages(
  listener: 'public' | 'internal',
  config: GatewayConfig,
  table: RouteTable,
): Pick<Stages, ConfiguredStage> {
  if (listener === 'internal') {
    return {
      // Services may use any host name, and no proxy stands between them and this listener.
      sanitize: createSanitize({
        headers: { ...config.headers, security: false },
        publicOrigins: [],
        trustedProxies: [],
      }),
      answerItself: createOwnAnswers({}),
      match: createMatch(table),
      authorize,
    };
  }
  const metadata = createResourceMetadata(config, table);
  const methodsAt = (path: string) => metadata?.methodsAt(path) ?? table.methodsAt(path);
  return {
    sanitize: createSanitize(config),
    answerItself: createOwnAnswers({ cors: config.cors && createCors(config.cors, { methodsAt }), metadata }),
    checkOrigin: createUpgradeOrigin(config),
    match: createMatch(table, metadata),
    authorize,
  };
}

type OwnAnswersOptions = Readonly<{
  cors?: ((incoming: Incoming) => PreflightHeaders | undefined) | undefined;
  metadata?: ResourceMetadata | undefined;
}>;

/**
 * Answers CORS preflights, `OPTIONS *` and requests for the metadata of protected resources.
 *
 * @returns Undefined for every other request. The stage throws what `cors` and `metadata` throw, and `body_not_allowed`.
 */
function createOwnAnswers({ cors, metadata }: OwnAnswersOptions): (incoming: Incoming) => OwnAnswer | undefined {
  return (incoming) => {
    const preflight = cors?.(incoming) ?? serverOptions(incoming);
    if (preflight !== undefined) return { status: 204, headers: preflight, body: undefined };
    const answer = metadata?.answer(incoming);
    // Pages of other origins read the metadata too.
    return answer && { ...answer, headers: { ...answer.headers, ...headersFrom(incoming.record.cors) } };
  };
}

/** The headers for `OPTIONS *`, which asks about the server and not about a resource (RFC 9110 section 9.3.7). */
function serverOptions({ method, rawTarget, body, record }: Incoming): Record<string, string> | undefined {
  if (rawTarget !== '*' || method !== 'OPTIONS') return undefined;
  if (body.present) throw new AppError('body_not_allowed');
  return { ...securityHeaders, 'x-request-id': record.requestId };
}
