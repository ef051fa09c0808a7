import type { AccessTokenInput } from '../../domain/sessions/access-token.ts';

/** The result of a login or refresh before the access token is signed; signing needs no transaction. */
export type Grant = Readonly<{
  access: AccessTokenInput;
  refreshToken: string;
  refreshExpiresInSec: number;
  email: string;
  tenantSlug: string;
}>;

/** Properties of the request other than its body. */
export type Caller = Readonly<{
  requestId: string;
  ip: string | null;
  userAgent: string | null;
  /** Thumbprint of the key whose DPoP proof the gateway verified. */
  jkt: string | null;
}>;
