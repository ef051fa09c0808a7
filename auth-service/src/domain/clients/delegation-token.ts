/**
 * `subject_token_type` of the tokens that a consent creates. RFC 8693 section 3 lets deployments define their own
 * types.
 */
export const delegationTokenType = 'urn:countersign:token-type:delegation';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

export const minDelegationSec = 60;
export const maxDelegationSec = 30 * 24 * 3600;
/**
 * Maximum number of live delegations of a person in a tenant. Each becomes an entry in the revocation log when the
 * session ends.
 */
export const maxDelegations = 100;
