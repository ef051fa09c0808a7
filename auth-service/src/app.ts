import { requireIdentity } from '@countersign/identity/express';
import {
  apiPageRoutes,
  createRouter,
  createServiceApp,
  descriptionRoutes,
  type Health,
  type Logger,
  type Registry,
} from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import { AppError, errors } from './errors.ts';
import type { RegisterParts } from './flows/accounts/register.ts';
import type { SecondStepParts } from './flows/second-factor/second-step.ts';
import type { Feed } from './flows/sessions/follow-revocations.ts';
import type { LoginParts } from './flows/sessions/log-in.ts';
import type { RefreshParts } from './flows/sessions/refresh.ts';
import { passwordRoutes } from './routes/accounts/password.ts';
import { registrationRoutes } from './routes/accounts/registration.ts';
import { api } from './routes/api.ts';
import { authorizeRoutes } from './routes/clients/authorize.ts';
import { clientRoutes } from './routes/clients/clients.ts';
import { delegationRoutes } from './routes/clients/delegations.ts';
import { metadataRoutes } from './routes/clients/metadata.ts';
import { formatOAuthError } from './routes/clients/oauth-error.ts';
import { type TokenRouteParts, tokenRoutes } from './routes/clients/token.ts';
import { keySetRoutes } from './routes/keys/key-set.ts';
import type { PageParts } from './routes/pages/page.ts';
import { accountPageRoutes } from './routes/pages/pages.ts';
import { secondFactorRoutes } from './routes/second-factor/second-factor.ts';
import type { BrowserParts } from './routes/sessions/browser.ts';
import { loginRoutes } from './routes/sessions/login.ts';
import { logoutRoutes } from './routes/sessions/logout.ts';
import { refreshRoutes } from './routes/sessions/refresh.ts';
import { revocationRoutes } from './routes/sessions/revocations.ts';
import { sessionRoutes } from './routes/sessions/sessions.ts';
import { switchTenantRoutes } from './routes/sessions/switch-tenant.ts';
import type { TokenSigner } from './routes/sessions/token-answer.ts';
import { auditRoutes } from './routes/tenants/audit.ts';
import { invitationRoutes } from './routes/tenants/invitations.ts';
import { memberRoutes } from './routes/tenants/members.ts';

export type AppParts = LoginParts &
  SecondStepParts &
  RefreshParts &
  RegisterParts &
  TokenSigner &
  TokenRouteParts &
  BrowserParts &
  PageParts &
  Readonly<{
    feed: Feed;
    /** The OpenAPI document for the API page. Undefined: there is no page. */
    apiDocument?: string;
    identity: RequestHandler;
    /** Adds the keys for agreement with the gateway to the key set. */
    publishKeys?: RequestHandler;
    health: Health;
    metrics: Registry;
    logger: Logger;
  }>;

const maxBodyBytes = 16 * 1024;

export function createApp(parts: AppParts): Express {
  const pages = accountPageRoutes(parts);
  const routes = createRouter().use(
    refuseActors,
    loginRoutes(parts),
    refreshRoutes(parts),
    logoutRoutes(parts),
    sessionRoutes(parts),
    secondFactorRoutes(parts),
    registrationRoutes(parts),
    passwordRoutes(parts),
    invitationRoutes(parts),
    memberRoutes(parts),
    switchTenantRoutes(parts),
    auditRoutes(parts),
    clientRoutes(parts),
    tokenRoutes(parts),
    delegationRoutes(parts),
    authorizeRoutes(),
    revocationRoutes(parts.feed),
    pages.router,
  );
  if (parts.apiDocument !== undefined) routes.use(apiPageRoutes(parts.apiDocument));
  return createServiceApp({
    logger: parts.logger,
    health: parts.health,
    metrics: parts.metrics,
    errors,
    formatError: (...refused) => formatOAuthError(...refused) ?? pages.formatError(...refused),
    ...(parts.publishKeys && { publishKeys: toGatewayAlone(parts.publishKeys) }),
    open: createRouter().use(keySetRoutes(parts.signingKeys), descriptionRoutes(api), metadataRoutes(parts)),
    identity: parts.identity,
    maxBodyBytes,
    routes,
  });
}

/**
 * An agent that acts for a person never manages their account, whatever the gateway lets through: it could consent for
 * them, end their sessions or change their second factor.
 */
const refuseActors: RequestHandler[] = [
  requireIdentity('user', 'client', 'anonymous', 'service', 'gateway'),
  (req, _res, next) => next(req.identity.context.act === undefined ? undefined : new AppError('actor_not_allowed')),
];

/**
 * Clients read the key set through the gateway, and expect an issuer's keys there: some token libraries refuse a set
 * with any other key. The gateway's own request for keys carries no identity.
 */
function toGatewayAlone(publishKeys: RequestHandler): RequestHandler {
  return (req, res, next) => {
    if (req.headers['x-identity'] === undefined) publishKeys(req, res, next);
    else next();
  };
}
