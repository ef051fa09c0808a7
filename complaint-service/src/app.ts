import { createServiceApp, type Health, type Logger, type Registry } from '@countersign/service-kit';
import type { Express, RequestHandler } from 'express';
import { errors } from './errors.ts';
import type { RouteParts } from './routes/route-parts.ts';
import { complaintServiceRoutes } from './routes/routes.ts';

export type AppParts = Readonly<{
  /** Refuses requests that the gateway did not sign for this service. */
  identity: RequestHandler;
  health: Health;
  metrics: Registry;
  logger: Logger;
}>;

export function createApp(parts: AppParts, routes: RouteParts): Express {
  return createServiceApp({ ...parts, errors, routes: complaintServiceRoutes(routes) });
}
