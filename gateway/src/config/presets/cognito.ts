import { absent, everyUser, oneOf, oneTenant, type Preset } from './preset.ts';

export const cognito: Preset = {
  // The headers have `kid` and `alg` only:
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
  types: ['none'],
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
  algorithms: ['RS256'],
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
  accessToken: [[oneOf('token_use', 'access')]],
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
  idToken: [[oneOf('token_use', 'id')]],
  // Access tokens name the client in `client_id`, and have `aud` only with resource binding:
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
  mayLackAudience: true,
  sharedAudiences: [],
  client: ['client_id'],
  // A client-credentials token has no user, and so no `username`:
  // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
  machines: [[oneOf('token_use', 'access'), absent('username')]],
  claims: {
    // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
    userId: ['sub'],
    // Groups are in `cognito:groups`:
    // https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html
    role: everyUser,
    tenantId: oneTenant,
    // Tokens that refresh one another share `origin_jti`:
    // https://docs.aws.amazon.com/cognito/latest/developerguide/token-revocation.html
    sessionId: ['origin_jti'],
    scope: ['scope'],
  },
  isOpen: false,
};
