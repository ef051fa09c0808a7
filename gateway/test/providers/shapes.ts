import { auth0, auth0Rfc9068 } from './auth0.ts';
import { clerkV1, clerkV2 } from './clerk.ts';
import { cognitoAccess, cognitoId } from './cognito.ts';
import { entraV1, entraV2 } from './entra.ts';
import { firebase } from './firebase.ts';
import { google } from './google.ts';
import { keycloak } from './keycloak.ts';
import { okta } from './okta.ts';
import type { Shape } from './shape.ts';
import { supabase } from './supabase.ts';
import { zitadel } from './zitadel.ts';

export const shapes: readonly Shape[] = [
  keycloak,
  auth0,
  auth0Rfc9068,
  entraV2,
  entraV1,
  cognitoAccess,
  cognitoId,
  okta,
  google,
  clerkV2,
  clerkV1,
  supabase,
  zitadel,
  firebase,
];
