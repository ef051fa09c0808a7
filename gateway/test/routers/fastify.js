import fastify from 'fastify';

const app = fastify();
const answer = (handler) => (_request, reply) => reply.header('x-handler', handler).send('');
app.all('/reports/:id', answer('report'));
app.all('/reports', answer('reports'));
app.all('/healthz', answer('health'));
app.all('/*', answer('all'));
await app.listen({ port: 0, host: '127.0.0.1' });
process.stdout.write(`listening on ${app.server.address().port}.`);
