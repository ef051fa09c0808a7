import { createVerifier } from '@countersign/identity';
import { requireRole, verifyIdentity } from '@countersign/identity/express';
import { testGateway } from '@countersign/identity/testing';
import { test } from '@jest/globals';
import express from 'express';
import request from 'supertest';

const gateway = testGateway({ audience: 'my-service' });
const { keys, replay } = gateway;
const app = express().enable('strict routing').enable('case sensitive routing');
app.use(verifyIdentity({ verifier: createVerifier({ audience: 'my-service', keys, replay }) }));
app.get('/secrets', requireRole('admin'), (_req, res) => void res.send('42'));

const admin = { kind: 'user', userId: 'u-1', role: 'admin', tenantId: 't-1' } as const;

test('admins see the secrets, others do not', async () => {
  const asAdmin = gateway.signedRequest({ path: '/secrets', as: admin });
  await request(app).get('/secrets').set(asAdmin.headers).expect(200);
  const asMember = gateway.signedRequest({ path: '/secrets' });
  await request(app).get('/secrets').set(asMember.headers).expect(403);
});
