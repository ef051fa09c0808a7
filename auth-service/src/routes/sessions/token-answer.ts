import { addToLog, type ProblemMembers, problemMediaType, problemOf, requestIdOf } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { signAccessToken, type TokenIssuer } from '../../domain/sessions/access-token.ts';
import { refreshCookies } from '../../domain/sessions/refresh-cookie.ts';
import { accessTokenLifetimeSec, type Transport } from '../../domain/sessions/session-rules.ts';
import { type ErrorCode, errors } from '../../errors.ts';
import type { SigningKeys } from '../../flows/keys/signing-keys.ts';
import type { Admission } from '../../flows/sessions/admit.ts';
import type { Grant } from '../../flows/sessions/grant.ts';

/** The dependencies for signing access tokens. */
export type TokenSigner = Readonly<{ signingKeys: SigningKeys; issuer: TokenIssuer }>;

export const tokens = z
  .object({
    access_token: z.string(),
    token_type: z.enum(['Bearer', 'DPoP']),
    expires_in: z.int().describe('Seconds until the access token expires.'),
    refresh_token: z.string().optional().describe('Absent with `transport: cookie`.'),
    refresh_expires_in: z.int().describe('Seconds until the refresh token expires.'),
    session_id: z.uuid(),
    user: z.object({ id: z.string(), email: z.string() }),
    tenant: z.object({ id: z.string(), slug: z.string(), role: z.string() }),
  })
  .meta({
    id: 'Tokens',
    examples: [
      {
        access_token: 'eyJ0eXAiOiJhdCtqd3QiLC…',
        token_type: 'Bearer',
        expires_in: 900,
        refresh_token: 'r1.018f…',
        refresh_expires_in: 2_592_000,
        session_id: '0197c2a0-0000-7000-8000-0000000000f1',
        user: { id: '0197c2a0-0000-7000-8000-0000000000a2', email: 'ann@acme.test' },
        tenant: { id: '0197c2a0-0000-7000-8000-00000000000a', slug: 'acme', role: 'agent' },
      },
    ],
  });

/** Sends the response of every endpoint that returns tokens (RFC 6749 section 5.1). */
export async function answerWithTokens(
  res: Response,
  signer: TokenSigner,
  { grant, transport }: Readonly<{ grant: Grant; transport: Transport }>,
): Promise<void> {
  const { access } = grant;
  const accessToken = await signAccessToken(access, signer.issuer, signer.signingKeys.current());
  const answer: z.infer<typeof tokens> = {
    access_token: accessToken,
    token_type: access.jkt === null ? 'Bearer' : 'DPoP',
    expires_in: accessTokenLifetimeSec,
    ...(transport === 'body' && { refresh_token: grant.refreshToken }),
    refresh_expires_in: grant.refreshExpiresInSec,
    session_id: access.sessionId,
    user: { id: access.userId, email: grant.email },
    tenant: { id: access.tenantId, slug: grant.tenantSlug, role: access.role },
  };
  if (transport === 'cookie') res.append('set-cookie', refreshCookies(grant.refreshToken, grant.refreshExpiresInSec));
  res.json(answer);
}

const tenantQuestion = z.object({
  selection_token: z.string(),
  tenants: z.array(z.object({ id: z.string(), slug: z.string(), name: z.string() })),
});

const mfaQuestion = z.object({ mfa_token: z.string() });

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
