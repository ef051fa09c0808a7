import { changePasswordEndpoint, forgotPasswordEndpoint, resetPasswordEndpoint } from './accounts/password.ts';
import { registerEndpoint, resendEmailEndpoint, verifyEmailEndpoint } from './accounts/registration.ts';
import type { Endpoint } from './endpoint.ts';
import {
  confirmTotpEndpoint,
  enrolTotpEndpoint,
  readSecondFactorEndpoint,
  removeTotpEndpoint,
  renewRecoveryCodesEndpoint,
} from './second-factor/second-factor.ts';
import { chooseTenantEndpoint, logInEndpoint, showSecondFactorEndpoint } from './sessions/login.ts';
import { logOutEndpoint } from './sessions/logout.ts';
import { refreshEndpoint } from './sessions/refresh.ts';
import { followRevocationsEndpoint } from './sessions/revocations.ts';
import { endSessionEndpoint, listSessionsEndpoint } from './sessions/sessions.ts';
import { switchTenantEndpoint } from './sessions/switch-tenant.ts';
import { readAuditEndpoint } from './tenants/audit.ts';
import {
  acceptInvitationEndpoint,
  inviteEndpoint,
  listInvitationsEndpoint,
  withdrawInvitationEndpoint,
} from './tenants/invitations.ts';
import { changeMemberEndpoint } from './tenants/members.ts';

/** All routes behind the signature check, in the order of the description. A test fails when one is missing. */
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
