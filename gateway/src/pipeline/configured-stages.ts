import type { GatewayConfig } from '../config/config.ts';
import type { RouteTable } from '../routing/route-table.ts';
import { createCors, createUpgradeOrigin } from './cors.ts';
import type { Stages } from './pipeline.ts';
import { createResourceMetadata } from './resource-metadata.ts';
import { answerOptions, authorize, createMatch, ownAnswers } from './route.ts';
import { createSanitize } from './sanitize.ts';

type ConfiguredStage = 'sanitize' | 'answerItself' | 'checkOrigin' | 'match' | 'authorize';

/** Creates a listener's stages that depend only on its configuration. @param traceRatio See {@link createSanitize}. */
export function configuredStages(
  listener: 'public' | 'internal',
  config: GatewayConfig,
  table: RouteTable,
  traceRatio?: number,
): Pick<Stages, ConfiguredStage> {
  if (listener === 'internal') {
    return {
      // Services may use any host name, and no proxy stands between them and this listener.
      sanitize: createSanitize(
        { headers: { ...config.headers, security: false }, publicOrigins: [], trustedProxies: [] },
        traceRatio,
      ),
      answerItself: ownAnswers(answerOptions),
      match: createMatch(table, listener),
      authorize,
    };
  }
  const metadata = createResourceMetadata(config, table);
  const methodsAt = (path: string) => metadata?.methodsAt(path) ?? table.methodsAt(path);
  return {
    sanitize: createSanitize(config, traceRatio),
    answerItself: ownAnswers(config.cors && createCors(config.cors, { methodsAt }), answerOptions, metadata?.answer),
    checkOrigin: createUpgradeOrigin(config),
    match: createMatch(table, listener, metadata),
    authorize,
  };
}
