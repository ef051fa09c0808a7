import type { Endpoint } from './endpoint.ts';
import { chooseTenantEndpoint, logInEndpoint, showSecondFactorEndpoint } from './login.ts';
import { logOutEndpoint } from './logout.ts';
import { refreshEndpoint } from './refresh.ts';
import { followRevocationsEndpoint } from './revocations.ts';
import {
  confirmTotpEndpoint,
  enrolTotpEndpoint,
  readSecondFactorEndpoint,
  removeTotpEndpoint,
  renewRecoveryCodesEndpoint,
} from './second-factor.ts';
import { endSessionEndpoint, listSessionsEndpoint } from './sessions.ts';

/** Every route that a signed request can reach, in the order of the description. A test fails when one is missing. */
export const endpoints: readonly Endpoint[] = [
  logInEndpoint,
  chooseTenantEndpoint,
  showSecondFactorEndpoint,
  refreshEndpoint,
  logOutEndpoint,
  listSessionsEndpoint,
  endSessionEndpoint,
  readSecondFactorEndpoint,
  enrolTotpEndpoint,
  confirmTotpEndpoint,
  removeTotpEndpoint,
  renewRecoveryCodesEndpoint,
  followRevocationsEndpoint,
];
