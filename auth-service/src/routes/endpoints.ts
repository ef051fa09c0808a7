import { readAuditEndpoint } from './audit.ts';
import type { Endpoint } from './endpoint.ts';
import {
  acceptInvitationEndpoint,
  inviteEndpoint,
  listInvitationsEndpoint,
  withdrawInvitationEndpoint,
} from './invitations.ts';
import { chooseTenantEndpoint, logInEndpoint, showSecondFactorEndpoint } from './login.ts';
import { logOutEndpoint } from './logout.ts';
import { changeMemberEndpoint } from './members.ts';
import { changePasswordEndpoint, forgotPasswordEndpoint, resetPasswordEndpoint } from './password.ts';
import { refreshEndpoint } from './refresh.ts';
import { registerEndpoint, resendEmailEndpoint, verifyEmailEndpoint } from './registration.ts';
import { followRevocationsEndpoint } from './revocations.ts';
import {
  confirmTotpEndpoint,
  enrolTotpEndpoint,
  readSecondFactorEndpoint,
  removeTotpEndpoint,
  renewRecoveryCodesEndpoint,
} from './second-factor.ts';
import { endSessionEndpoint, listSessionsEndpoint } from './sessions.ts';
import { switchTenantEndpoint } from './switch-tenant.ts';

/** Every route that a signed request can reach, in the order of the description. A test fails when one is missing. */
export const endpoints: readonly Endpoint[] = [
  registerEndpoint,
  verifyEmailEndpoint,
  resendEmailEndpoint,
  logInEndpoint,
  chooseTenantEndpoint,
  showSecondFactorEndpoint,
  refreshEndpoint,
  logOutEndpoint,
  listSessionsEndpoint,
  endSessionEndpoint,
  switchTenantEndpoint,
  forgotPasswordEndpoint,
  resetPasswordEndpoint,
  changePasswordEndpoint,
  readSecondFactorEndpoint,
  enrolTotpEndpoint,
  confirmTotpEndpoint,
  removeTotpEndpoint,
  renewRecoveryCodesEndpoint,
  inviteEndpoint,
  listInvitationsEndpoint,
  withdrawInvitationEndpoint,
  acceptInvitationEndpoint,
  changeMemberEndpoint,
  readAuditEndpoint,
  followRevocationsEndpoint,
];
