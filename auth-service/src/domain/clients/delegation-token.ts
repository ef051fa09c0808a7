/**
 * The `subject_token_type` of delegation tokens. RFC 8693 section 3 lets deployments define their own types.
 */
export const delegationTokenType = 'urn:countersign:token-type:delegation';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

export const minDelegationSec = 60;
export const maxDelegationSec = 30 * 24 * 3600;
/**
 * How many valid delegations a person can have in a tenant. When the session ends, each adds a revocation log entry.
 */
export const maxDelegations = 100;
