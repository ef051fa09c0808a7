import type { Code } from '../../errors.ts';

/** Keycloak omits some claims if the OAuth client lacks this scope. */
const basic = 'in Keycloak, add the client scope "basic" to the client';

/** How to configure a provider if a claim is missing. */
export const missing: Readonly<Partial<Record<string, Readonly<Record<string, string>>>>> = {
  keycloak: { sub: basic, sid: basic },
};

/** How to configure a provider to fix a finding, in the provider's own terms. */
export const advice: Readonly<Partial<Record<string, Partial<Record<Code, string>>>>> = {
  keycloak: {
    token_audience_refused: `in Keycloak, add an Audience mapper to one of the client's client scopes; or accept "account" in audience, and list clients`,
    token_claims_invalid: 'in Keycloak, roles are in [realm_access, roles] or [resource_access, CLIENT, roles]',
  },
  auth0: {
    token_audience_refused: 'request the token with audience=IDENTIFIER, the identifier of the API in Auth0',
    token_claims_invalid: 'in Auth0, an Action adds roles with api.accessToken.setCustomClaim, under a URL as name',
  },
  entra: {
    token_audience_refused: "request your API's scope api://CLIENT-ID/NAME, not a Microsoft Graph scope",
    token_issuer_unknown:
      "in the API's manifest, requestedAccessTokenVersion 2 gives login.microsoftonline.com/…/v2.0, and 1 or null gives sts.windows.net/…/",
    token_claims_invalid:
      "in Entra, the claim roles contains the API's app roles; assign them under Enterprise applications",
  },
  cognito: {
    token_client_refused: "clients must list the ids of the pool's app clients",
    token_type_refused: 'send the access token; or set types: [id-token] and audience: CLIENT-ID for ID tokens',
    token_claims_invalid:
      'in Cognito, the claim cognito:groups contains the groups; users without a group lack the claim',
  },
  okta: {
    token_issuer_unknown:
      "use a custom authorization server, such as /oauth2/default: the org server's tokens are only for Okta itself",
    token_claims_invalid: "in Okta, add a groups claim to the authorization server's access tokens",
  },
  google: { token_type_refused: "send the ID token: Google's access tokens are only for its own APIs" },
  clerk: {
    token_client_refused: 'clients must list the origins of your pages, such as https://app.example.com',
    token_claims_invalid:
      'version 2 tokens have [o, id] and [o, rol], and version 1 tokens org_id and org_role; both need an active organization',
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
  firebase: { token_audience_refused: "audience must be the Firebase project's id" },
};
