import { absent, everyUser, oneTenant, type Preset, present } from './preset.ts';

/** Custom authorization servers. Tokens of the org authorization server are for Okta's own API. */
export const okta: Preset = {
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#access-token-header
  types: ['none', 'at+jwt'],
  // https://developer.okta.com/docs/guides/validate-access-tokens/
  algorithms: ['RS256'],
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#reserved-claims-in-the-payload-section
  accessToken: [[present('cid'), present('scp')]],
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#id-token-claims
  idToken: [[absent('cid'), absent('scp')]],
  // https://developer.okta.com/docs/guides/validate-access-tokens/
  mayLackAudience: false,
  sharedAudiences: [],
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#reserved-claims-in-the-payload-section
  client: ['cid'],
  // "uid" is present only when a user is: https://developer.okta.com/docs/guides/implement-grant-type/clientcreds/main/
  machines: [[present('cid'), absent('uid')]],
  claims: {
    // `sub` is the login, often an email address; `uid` never changes:
    // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#reserved-claims-in-the-payload-section
    userId: ['uid'],
    // Groups need a claim of the authorization server: https://developer.okta.com/docs/guides/customize-tokens-groups-claim/main/
    role: everyUser,
    tenantId: oneTenant,
    sessionId: ['sid'],
    scope: ['scp'],
  },
  isOpen: false,
};
