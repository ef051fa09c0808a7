import { createRouter, createServiceApp, type Health, type Logger, type Registry } from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import { errors } from './errors.ts';
import type { Feed } from './flows/follow-revocations.ts';
import type { LoginParts } from './flows/log-in.ts';
import type { RefreshParts } from './flows/refresh.ts';
import type { RegisterParts } from './flows/register.ts';
import type { SecondStepParts } from './flows/second-step.ts';
import { auditRoutes } from './routes/audit.ts';
import type { BrowserParts } from './routes/browser.ts';
import { descriptionRoutes } from './routes/description.ts';
import { invitationRoutes } from './routes/invitations.ts';
import { keySetRoutes } from './routes/key-set.ts';
import { loginRoutes } from './routes/login.ts';
import { logoutRoutes } from './routes/logout.ts';
import { memberRoutes } from './routes/members.ts';
import { passwordRoutes } from './routes/password.ts';
import { refreshRoutes } from './routes/refresh.ts';
import { registrationRoutes } from './routes/registration.ts';
import { revocationRoutes } from './routes/revocations.ts';
import { secondFactorRoutes } from './routes/second-factor.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { switchTenantRoutes } from './routes/switch-tenant.ts';
import type { TokenSigner } from './routes/token-answer.ts';

export type AppParts = LoginParts &
  SecondStepParts &
  RefreshParts &
  RegisterParts &
  TokenSigner &
  BrowserParts &
  Readonly<{ feed: Feed; identity: RequestHandler; health: Health; metrics: Registry; logger: Logger }>;

const maxBodyBytes = 16 * 1024;

export function createApp(parts: AppParts): Express {
  const routes = createRouter().use(
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
    revocationRoutes(parts.feed),
  );
  return createServiceApp({
    logger: parts.logger,
    health: parts.health,
    metrics: parts.metrics,
    errors,
    open: createRouter().use(keySetRoutes(parts.signingKeys), descriptionRoutes()),
    identity: parts.identity,
    maxBodyBytes,
    routes,
  });
}
