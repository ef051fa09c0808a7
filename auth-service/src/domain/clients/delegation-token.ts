/** `subject_token_type` of the tokens that a consent yields (RFC 8693 section 3 lets deployments define their own). */
export const delegationTokenType = 'urn:countersign:token-type:delegation';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

export const minDelegationSec = 60;
export const maxDelegationSec = 30 * 24 * 3600;
/** Live delegations of a person in a tenant. Each is an entry of the revocation log when the session ends. */
export const maxDelegations = 100;
