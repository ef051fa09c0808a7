import type { Code } from '../../errors.ts';

/** Claims that Keycloak omits for a client without this scope. */
const basic = 'in Keycloak, add the client scope "basic" to the client';

/** How to configure a provider if a claim is missing. */
export const missing: Readonly<Partial<Record<string, Readonly<Record<string, string>>>>> = {
  keycloak: { sub: basic, sid: basic },
};

/** How to configure a provider to fix a finding, in the provider's own terms. */
export const advice: Readonly<Partial<Record<string, Partial<Record<Code, string>>>>> = {
  keycloak: {
    token_audience_refused:
      'in Keycloak, add a mapper of type Audience to a client scope of the client; or accept "account" in audience, with clients',
    token_claims_invalid: 'in Keycloak, roles are in [realm_access, roles] or [resource_access, CLIENT, roles]',
  },
  auth0: {
    token_audience_refused: 'request the token with audience=IDENTIFIER, the identifier of the API in Auth0',
    token_claims_invalid: 'in Auth0, an Action adds roles with api.accessToken.setCustomClaim, under a URL as name',
  },
  entra: {
    token_audience_refused: 'request the scope api://CLIENT-ID/NAME of your API, not one of Microsoft Graph',
    token_issuer_unknown:
      'in the manifest of the API, requestedAccessTokenVersion 2 gives login.microsoftonline.com/…/v2.0, and 1 or null sts.windows.net/…/',
    token_claims_invalid: 'in Entra, app roles of the API are in roles; assign them under Enterprise applications',
  },
  cognito: {
    token_client_refused: 'clients must contain the ids of app clients of the pool',
    token_type_refused: 'send the access token; or set types: [id-token] and audience: CLIENT-ID for ID tokens',
    token_claims_invalid: 'in Cognito, groups are in cognito:groups, and only for users in a group',
  },
  okta: {
    token_issuer_unknown:
      'use a custom authorization server, such as /oauth2/default: tokens of the org server are for Okta',
    token_claims_invalid: 'in Okta, add a groups claim to the access token of the authorization server',
  },
  google: { token_type_refused: "send the ID token: Google's access tokens are only for its own APIs" },
  clerk: {
    token_client_refused: 'clients must contain the origins of your pages, such as https://app.example.com',
    token_claims_invalid:
      'version 2 has [o, id] and [o, rol], version 1 org_id and org_role; both need an active organization',
  },
  supabase: {
    token_algorithm_refused:
      'in Supabase, switch to JWT signing keys (ES256): the legacy secret cannot be shared safely',
    token_claims_invalid: 'in Supabase, app_metadata is set by administrators or by the Custom Access Token hook',
  },
  zitadel: {
    token_claims_invalid:
      'in Zitadel, an action can add a list of roles; the built-in roles claim is an object, which cannot be read',
  },
  firebase: { token_audience_refused: 'audience must be the id of the Firebase project' },
};
