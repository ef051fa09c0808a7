import { z } from 'zod';
import { authorizationPath } from '../../domain/clients/token-endpoint.ts';
import { AppError } from '../../errors.ts';
import { route } from '../route.ts';
import { oauthError } from './oauth-error.ts';

/** Refuses every request, and never redirects: no redirect URI is registered (RFC 6749 section 4.1.2.1). */
export const authorizeRoutes = [
  route({
    method: 'get',
    path: authorizationPath,
    operationId: 'authorize',
    tag: 'Clients',
    summary: 'Authorization endpoint (always refuses)',
    description:
      'OAuth clients get tokens at the token endpoint. This endpoint exists because some OAuth libraries require it in the metadata.',
    callers: ['anonymous'],
    query: z.looseObject({}), // RFC 6749 section 3.1
    responses: {},
    errors: ['unsupported_response_type'],
    errorBody: oauthError,
  }).handle(async () => {
    throw new AppError('unsupported_response_type');
  }),
];
