import { type BehindGateway, createRouter, createServiceApp, descriptionRoutes } from '@countersign/service-kit';
import type { Express } from 'express';
import { errors } from './errors.ts';
import type { FlowParts } from './flows/parts.ts';
import { api } from './routes/api.ts';
import { complaintServiceRoutes } from './routes/routes.ts';
import { webhookKeyRoutes } from './routes/webhooks/published-keys.ts';

export function createApp(parts: BehindGateway, flows: FlowParts): Express {
  const open = createRouter().use(descriptionRoutes(api), webhookKeyRoutes(flows.webhooks.keys));
  return createServiceApp({ ...parts, errors, open, routes: complaintServiceRoutes(flows) });
}
