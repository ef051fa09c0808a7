import {
  createRouter,
  createServiceApp,
  descriptionRoutes,
  type Health,
  type Logger,
  type Registry,
} from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import { errors } from './errors.ts';
import type { FlowParts } from './flows/parts.ts';
import { api } from './routes/api.ts';
import { complaintServiceRoutes } from './routes/routes.ts';
import { webhookKeyRoutes } from './routes/webhooks/published-keys.ts';

export type AppParts = Readonly<{
  /** Refuses requests that the gateway did not sign for this service. */
  identity: RequestHandler;
  health: Health;
  metrics: Registry;
  logger: Logger;
}>;

export function createApp(parts: AppParts, flows: FlowParts): Express {
  const open = createRouter().use(descriptionRoutes(api), webhookKeyRoutes(flows.webhooks.keys));
  return createServiceApp({ ...parts, errors, open, routes: complaintServiceRoutes(flows) });
}
