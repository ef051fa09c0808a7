import { createRouter, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { authorizationPath } from '../../domain/clients/token-endpoint.ts';
import { AppError } from '../../errors.ts';
import { endpoint } from '../endpoint.ts';
import { oauthError } from './oauth-error.ts';

export const authorizeEndpoint = endpoint({
  method: 'get',
  path: authorizationPath,
  operationId: 'authorize',
  tag: 'Clients',
  summary: 'The authorization endpoint, which supports no response type',
  description:
    'Clients get tokens at the token endpoint. The metadata names this endpoint because OAuth libraries refuse metadata without one.',
  callers: ['anonymous'],
  query: z.looseObject({}), // RFC 6749 section 3.1
  responses: {},
  errors: ['unsupported_response_type'],
  errorBody: oauthError,
});

/** Refuses every request, and redirects nowhere: no redirect URI is registered (RFC 6749 section 4.1.2.1). */
export function authorizeRoutes(): Router {
  const router = createRouter();
  serve(router, authorizeEndpoint, async () => {
    throw new AppError('unsupported_response_type');
  });
  return router;
}
