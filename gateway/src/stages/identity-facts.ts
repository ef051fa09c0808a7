import {
  type IdentityContext,
  type IdentityFacts,
  type PreparedIdentity,
  prepareIdentity,
} from '@countersign/identity';
import { AppError } from '../errors.ts';
import type { Caller } from '../exchange.ts';

/**
 * What is signed about a caller, once a caller and audience.
 *
 * @throws AppError `token_claims_invalid` where a claim does not fit the contract.
 */
export function prepareCaller(caller: Caller, audience: string): PreparedIdentity {
  try {
    return prepareIdentity(factsOf(caller), audience);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError('token_claims_invalid', { cause });
  }
}

function factsOf(caller: Caller): IdentityFacts {
  switch (caller.kind) {
    case 'anonymous':
      return caller.jkt === undefined ? { kind: 'anonymous' } : { kind: 'anonymous', context: { jkt: caller.jkt } };
    case 'user': {
      const { userId, role, tenantId, token, jkt } = caller;
      const { issuer, sessionId, authTimeSec, authMethods } = token.claims;
      const context: IdentityContext = {
        ...originOf(issuer, sessionId),
        ...(authTimeSec !== undefined && { authTime: authTimeSec }),
        ...(authMethods !== undefined && { amr: authMethods }),
        ...(jkt !== undefined && { jkt }),
      };
      return { kind: 'user', userId, role, tenantId, context };
    }
    case 'service': {
      const { serviceId, user } = caller;
      if (user === undefined) return { kind: 'service', serviceId };
      const { userId, role, tenantId, token } = user;
      const context = originOf(token.issuer.config.issuer, token.claims.sessionId);
      return { kind: 'service', serviceId, user: { userId, role, tenantId }, context };
    }
  }
}

const originOf = (iss: string, sid: string | undefined): IdentityContext => ({
  iss,
  ...(sid !== undefined && { sid }),
});
