import { createVerifier } from '@countersign/identity';
import { requireIdentity, requireScope, verifyIdentity } from '@countersign/identity/express';
import { testGateway } from '@countersign/identity/testing';
import { expect, test } from '@jest/globals';
import express from 'express';
import request from 'supertest';

const gateway = testGateway({ audience: 'my-service' });
const { keys, replay } = gateway;
const app = express().enable('strict routing').enable('case sensitive routing');
app.use(verifyIdentity({ verifier: createVerifier({ audience: 'my-service', keys, replay }) }));
app.get('/orders', requireIdentity({ accept: ['user', 'client'] }), requireScope('orders.read'), (req, res) => {
  const { identity } = req;
  const caller = identity.kind === 'client' ? identity.clientId : identity.kind === 'user' && identity.userId;
  res.json({ caller, actor: identity.context.act?.sub });
});

const person = { kind: 'user', userId: 'u-1', role: 'member', tenantId: 't-1' } as const;
const act = { sub: 'client-2', iss: 'https://issuer.example' };

test('machines with the scope can read orders, and so can agents that act for users', async () => {
  const machine = { kind: 'client', clientId: 'client-1', context: { scope: ['orders.read'] } } as const;
  const asMachine = gateway.signedRequest({ path: '/orders', as: machine });
  const { body } = await request(app).get('/orders').set(asMachine.headers).expect(200);
  expect(body).toEqual({ caller: 'client-1' });
  const agent = { ...person, context: { scope: ['orders.read'], act } };
  const asAgent = gateway.signedRequest({ path: '/orders', as: agent });
  const answer = await request(app).get('/orders').set(asAgent.headers).expect(200);
  expect(answer.body).toEqual({ caller: 'u-1', actor: 'client-2' });
});

test('without the scope they do not', async () => {
  const asUser = gateway.signedRequest({ path: '/orders', as: person });
  await request(app).get('/orders').set(asUser.headers).expect(403);
});
