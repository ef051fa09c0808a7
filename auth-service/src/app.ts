import { requireIdentity } from '@countersign/identity/express';
import { createRouter, notStored } from '@countersign/process-kit';
import {
  apiPageRoutes,
  createServiceApp,
  descriptionRoutes,
  mountRoutes,
  type ServiceParts,
} from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import { AppError, errors } from './errors.ts';
import { api, routes } from './routes/api.ts';
import { formatOAuthError } from './routes/clients/token.ts';
import { accountPageRoutes } from './routes/pages/pages.ts';
import type { RouteParts } from './routes/route.ts';
import { keySetRoutes, metadataRoutes } from './routes/well-known.ts';

type AppParts = RouteParts &
  Pick<ServiceParts, 'identity' | 'publishKeys' | 'health' | 'metrics' | 'logger' | 'tracing'> &
  Readonly<{
    /** The OpenAPI document that the API page shows. If undefined, there is no such page. */
    apiDocument?: string | undefined;
  }>;

const maxBodyBytes = 16 * 1024;

export function createApp(parts: AppParts): Express {
  const pages = accountPageRoutes(parts);
  const router = createRouter().use(refuseActors, notStored, mountRoutes(routes, parts), pages.router);
  if (parts.apiDocument !== undefined) router.use(apiPageRoutes(parts.apiDocument));
  return createServiceApp({
    ...parts,
    errors,
    formatError: (...refused) => formatOAuthError(...refused) ?? pages.formatError(...refused),
    ...(parts.publishKeys && { publishKeys: onlyToGateway(parts.publishKeys) }),
    open: createRouter().use(keySetRoutes(parts.signingKeys), descriptionRoutes(api), metadataRoutes(parts)),
    maxBodyBytes,
    routes: router,
  });
}

/** An agent that acts for a user never manages the account: it could grant delegations or end sessions. */
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
