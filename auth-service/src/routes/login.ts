import { allowAnonymous } from '@countersign/identity/express';
import { addToLog, problemMediaType, problemOf, requestIdOf } from '@countersign/service-kit';
import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { maxPasswordLength } from '../domain/passwords.ts';
import { errors } from '../errors.ts';
import { chooseTenant, type LoginParts, type LoginResult, logIn } from '../flows/log-in.ts';
import { callerOf } from './caller.ts';
import { answerWithTokens, type TokenSigner } from './token-answer.ts';

/** No NUL, which Postgres takes in no text, and no half of a surrogate pair, of which all hash alike. */
const text = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((value) => value.isWellFormed() && !value.includes('\0'), 'has characters that are not text');

const loginBody = z.object({
  email: text(254),
  // NUL is welcome in a password: it is hashed before anything could stop at it.
  password: z
    .string()
    .max(maxPasswordLength)
    .refine((value) => value.isWellFormed(), 'has characters that are not text'),
  tenant: text(64).optional(),
});

const tenantBody = z.object({ selection_token: text(64), tenant_id: text(64) });

export function loginRoutes(parts: LoginParts & TokenSigner): Router {
  const router = Router({ caseSensitive: true, strict: true });

  router.post('/v1/auth/login', allowAnonymous(), async (req, res) => {
    const { email, password, tenant } = loginBody.parse(req.body);
    const result = await logIn(parts, { email, password, tenant }, callerOf(req, res, req.identity));
    if (result.kind === 'choose') return answerWithChoice(req, res, result);
    await answerWithTokens(res, parts, result.grant);
  });

  router.post('/v1/auth/login/tenant', allowAnonymous(), async (req, res) => {
    const body = tenantBody.parse(req.body);
    const given = { selectionToken: body.selection_token, tenantId: body.tenant_id };
    await answerWithTokens(res, parts, await chooseTenant(parts, given, callerOf(req, res, req.identity)));
  });

  return router;
}

/** A problem with extension members (RFC 9457 section 3.2): not a failure, but the question that comes next. */
function answerWithChoice(req: Request, res: Response, choice: Extract<LoginResult, { kind: 'choose' }>): void {
  const code = 'tenant_selection_required';
  const request = { id: requestIdOf(res), path: req.path };
  addToLog(res, { code });
  res
    .status(errors[code].status)
    .set('cache-control', 'no-store')
    .type(problemMediaType)
    .send(
      JSON.stringify({
        ...problemOf(code, errors[code], request),
        selection_token: choice.selectionToken,
        tenants: choice.tenants.map(({ tenantId, slug, name }) => ({ id: tenantId, slug, name })),
      }),
    );
}
