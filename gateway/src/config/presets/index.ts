import type { Provider } from '../issuer.ts';
import { auth0 } from './auth0.ts';
import { clerk } from './clerk.ts';
import { cognito } from './cognito.ts';
import { entra } from './entra.ts';
import { firebase } from './firebase.ts';
import { google } from './google.ts';
import { keycloak } from './keycloak.ts';
import { okta } from './okta.ts';
import type { Preset } from './preset.ts';
import { supabase } from './supabase.ts';
import { zitadel } from './zitadel.ts';

export type { Preset } from './preset.ts';

export const presets: Readonly<Record<Provider, Preset>> = {
  keycloak,
  auth0,
  entra,
  cognito,
  okta,
  google,
  clerk,
  supabase,
  zitadel,
  firebase,
};
