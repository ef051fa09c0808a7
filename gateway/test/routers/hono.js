import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const app = new Hono();
const answer = (handler) => (context) => context.body(null, 200, { 'x-handler': handler });
app.all('/reports/:id', answer('report'));
app.all('/reports', answer('reports'));
app.all('/healthz', answer('health'));
app.all('/*', answer('all'));
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
  process.stdout.write(`listening on ${port}.`),
);
