import type { AccessFacts } from '../../domain/sessions/access-token.ts';

/** What a client gets for a login or a refresh, before the access token is signed: signing needs no transaction. */
export type Grant = Readonly<{
  access: AccessFacts;
  refreshToken: string;
  refreshExpiresInSec: number;
  email: string;
  tenantSlug: string;
}>;

/** What is known of the request besides its body. */
export type Caller = Readonly<{
  requestId: string;
  ip: string | null;
  userAgent: string | null;
  /** Thumbprint of the key that the gateway saw a proof of. */
  jkt: string | null;
}>;
