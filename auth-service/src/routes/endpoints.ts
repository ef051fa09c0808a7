import type { Endpoint } from './endpoint.ts';
import { chooseTenantEndpoint, logInEndpoint } from './login.ts';
import { logOutEndpoint } from './logout.ts';
import { refreshEndpoint } from './refresh.ts';
import { followRevocationsEndpoint } from './revocations.ts';
import { endSessionEndpoint, listSessionsEndpoint } from './sessions.ts';

/** Every route that a signed request can reach, in the order of the description. A test fails when one is missing. */
export const endpoints: readonly Endpoint[] = [
  logInEndpoint,
  chooseTenantEndpoint,
  refreshEndpoint,
  logOutEndpoint,
  listSessionsEndpoint,
  endSessionEndpoint,
  followRevocationsEndpoint,
];
