import type { AccessTokenInput } from '../../domain/sessions/access-token.ts';
import type { Holder } from '../../store/accounts/accounts.ts';
import type { Trx } from '../../store/scope.ts';
import { issueTimeSec } from '../../store/sessions/revocations.ts';

/** The result of a login or refresh. The access token is signed later, outside the transaction. */
export type Grant = Readonly<{
  access: AccessTokenInput;
  refreshToken: string;
  refreshExpiresInSec: number;
  email: string;
  tenantSlug: string;
}>;

type GrantedSession = Omit<AccessTokenInput, 'role' | 'issuedAtSec' | 'authTimeSec'> & Readonly<{ authTime: Date }>;

/** Creates the grant for a session. Call this while holding the locks on the session's holder. */
export async function grantOf(
  trx: Trx,
  { role, email, slug }: Holder,
  { authTime, ...session }: GrantedSession,
  refresh: Pick<Grant, 'refreshToken' | 'refreshExpiresInSec'>,
): Promise<Grant> {
  const { userId, tenantId } = session;
  const issuedAtSec = await issueTimeSec(trx, { userId, tenantId });
  const authTimeSec = Math.floor(authTime.getTime() / 1000);
  return { access: { ...session, role, issuedAtSec, authTimeSec }, ...refresh, email, tenantSlug: slug };
}

/** The caller of a request. */
export type Caller = Readonly<{
  requestId: string;
  ip: string | null;
  userAgent: string | null;
  /** Thumbprint of the key whose DPoP proof the gateway verified. */
  jkt: string | null;
}>;
