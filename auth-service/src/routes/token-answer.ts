import type { Response } from 'express';
import { signAccessToken, type TokenIssuer } from '../domain/access-token.ts';
import { accessTokenLifetimeSec } from '../domain/session-rules.ts';
import type { Grant } from '../flows/grant.ts';
import type { SigningKeys } from '../flows/signing-keys.ts';

/** What turns a grant into an answer. */
export type TokenSigner = Readonly<{ signingKeys: SigningKeys; issuer: TokenIssuer }>;

/** The one shape of every answer that carries tokens (RFC 6749 section 5.1). */
export async function answerWithTokens(res: Response, signer: TokenSigner, grant: Grant): Promise<void> {
  const { access } = grant;
  const accessToken = await signAccessToken(access, signer.issuer, signer.signingKeys.current());
  res.set('cache-control', 'no-store').json({
    access_token: accessToken,
    token_type: access.jkt === null ? 'Bearer' : 'DPoP',
    expires_in: accessTokenLifetimeSec,
    refresh_token: grant.refreshToken,
    refresh_expires_in: grant.refreshExpiresInSec,
    session_id: access.sessionId,
    user: { id: access.userId, email: grant.email },
    tenant: { id: access.tenantId, slug: grant.tenantSlug, role: access.role },
  });
}
