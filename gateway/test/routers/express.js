import express from 'express';

const app = express();
if (process.env.STRICT) app.enable('strict routing').enable('case sensitive routing');
const answer = (handler) => (_req, res) => void res.set('x-handler', handler).end();
app.all('/reports/:id', answer('report'));
app.all('/reports', answer('reports'));
app.all('/healthz', answer('health'));
app.all('/{*all}', answer('all'));
const server = app.listen(0, '127.0.0.1', () => process.stdout.write(`listening on ${server.address().port}.`));
