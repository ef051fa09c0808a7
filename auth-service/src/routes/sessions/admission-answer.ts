import { addToLog, type ProblemMembers, problemMediaType, problemOf, requestIdOf } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { type ErrorCode, errors } from '../../errors.ts';
import type { Admission } from '../../flows/sessions/admit.ts';
import { answerWithTokens, type TokenSigner, tokens } from './token-answer.ts';

const tenantQuestion = z.object({
  selection_token: z.string(),
  tenants: z.array(z.object({ id: z.string(), slug: z.string(), name: z.string() })),
});

const mfaQuestion = z.object({ mfa_token: z.string() });

/** The responses of every endpoint that starts a session. Spread this into the route. */
export const admissionResponses = { responses: { 200: tokens } } as const;

/** Extension members of problems that ask for the next login step. */
export const admissionProblemMembers = {
  tenant_selection_required: tenantQuestion,
  mfa_required: mfaQuestion,
} as const satisfies ProblemMembers;

/** Responds with tokens, or with the next login step. */
export async function answerAdmission(
  req: Request,
  res: Response,
  signer: TokenSigner,
  admission: Admission,
): Promise<void> {
  switch (admission.kind) {
    case 'granted':
      return answerWithTokens(res, signer, admission);
    case 'choose': {
      const tenants = admission.tenants.map(({ tenantId, slug, name }) => ({ id: tenantId, slug, name }));
      const members: z.infer<typeof tenantQuestion> = { selection_token: admission.selectionToken, tenants };
      return ask(req, res, 'tenant_selection_required', members);
    }
    case 'mfa': {
      const members: z.infer<typeof mfaQuestion> = { mfa_token: admission.mfaToken };
      return ask(req, res, 'mfa_required', members);
    }
  }
}

/** Responds with a problem (RFC 9457 section 3.2) that asks for the next login step. */
function ask(req: Request, res: Response, code: ErrorCode, members: object): void {
  addToLog(res, { code });
  const problem = problemOf(code, errors[code], { id: requestIdOf(res), path: req.path });
  res
    .status(errors[code].status)
    // send() would add a charset, which this media type does not have (RFC 9457 section 6.1).
    .set({ 'cache-control': 'no-store', 'content-type': problemMediaType })
    .end(JSON.stringify({ ...problem, ...members }));
}
