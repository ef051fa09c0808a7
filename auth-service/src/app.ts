import { requireIdentity } from '@countersign/identity/express';
import {
  apiPageRoutes,
  type BehindGateway,
  createRouter,
  createServiceApp,
  descriptionRoutes,
  type Health,
  type Logger,
  mountRoutes,
  notStored,
  type Registry,
} from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import { AppError, errors } from './errors.ts';
import { api, routes } from './routes/api.ts';
import { formatOAuthError } from './routes/clients/oauth-error.ts';
import { accountPageRoutes } from './routes/pages/pages.ts';
import type { RouteParts } from './routes/route.ts';
import { keySetRoutes, metadataRoutes } from './routes/well-known.ts';

export type AppParts = RouteParts &
  Readonly<{
    /** The OpenAPI document that the API page shows. If undefined, there is no such page. */
    apiDocument?: string | undefined;
    identity: RequestHandler;
    /** Adds the key-agreement keys for the gateway to the key set. */
    publishKeys?: RequestHandler;
    health: Health;
    metrics: Registry;
    logger: Logger;
    tracing?: BehindGateway['tracing'];
  }>;

const maxBodyBytes = 16 * 1024;

export function createApp(parts: AppParts): Express {
  const pages = accountPageRoutes(parts);
  const router = createRouter().use(refuseActors, notStored, mountRoutes(routes, parts), pages.router);
  if (parts.apiDocument !== undefined) router.use(apiPageRoutes(parts.apiDocument));
  return createServiceApp({
    logger: parts.logger,
    health: parts.health,
    metrics: parts.metrics,
    errors,
    formatError: (...refused) => formatOAuthError(...refused) ?? pages.formatError(...refused),
    tracing: parts.tracing,
    ...(parts.publishKeys && { publishKeys: onlyToGateway(parts.publishKeys) }),
    open: createRouter().use(keySetRoutes(parts.signingKeys), descriptionRoutes(api), metadataRoutes(parts)),
    identity: parts.identity,
    maxBodyBytes,
    routes: router,
  });
}

/**
 * An agent that acts for a user never manages the account, even if the gateway lets it through. It could grant
 * delegations, end sessions or change the second factor.
 */
const refuseActors: RequestHandler[] = [
  requireIdentity('user', 'client', 'anonymous', 'service', 'gateway'),
  (req, _res, next) => next(req.identity.context.act === undefined ? undefined : new AppError('actor_not_allowed')),
];

/**
 * Hides the key-agreement keys from requests through the gateway, because some token libraries reject a key set with
 * unknown keys. The gateway's own request for the key set has no identity.
 */
function onlyToGateway(publishKeys: RequestHandler): RequestHandler {
  return (req, res, next) => {
    if (req.headers['x-identity'] === undefined) publishKeys(req, res, next);
    else next();
  };
}
