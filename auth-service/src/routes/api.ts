import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { changePasswordEndpoint, forgotPasswordEndpoint, resetPasswordEndpoint } from './accounts/password.ts';
import { registerEndpoint, resendEmailEndpoint, verifyEmailEndpoint } from './accounts/registration.ts';
import { authorizeEndpoint } from './clients/authorize.ts';
import {
  changeClientEndpoint,
  createClientEndpoint,
  deleteClientEndpoint,
  endSecretEndpoint,
  listClientsEndpoint,
  readClientEndpoint,
  rotateSecretEndpoint,
} from './clients/clients.ts';
import {
  delegateEndpoint,
  listAgentsEndpoint,
  listDelegationsEndpoint,
  withdrawDelegationEndpoint,
} from './clients/delegations.ts';
import { issueTokenEndpoint } from './clients/token.ts';
import {
  confirmTotpEndpoint,
  enrolTotpEndpoint,
  readSecondFactorEndpoint,
  removeTotpEndpoint,
  renewRecoveryCodesEndpoint,
} from './second-factor/second-factor.ts';
import { admissionProblemMembers } from './sessions/admission-answer.ts';
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

/** The routes and the description of this service. A test fails when a route is missing. */
export const api: Api = {
  title: 'Countersign auth-service',
  description:
    'Accounts, login, tokens, sessions. Clients call it through the gateway, which adds refusals of its own (docs/errors.md).',
  tags: [
    { name: 'Accounts', description: 'Registration, e-mail addresses and passwords.' },
    { name: 'Sessions', description: 'Login, tokens, and the sessions of the caller.' },
    { name: 'Second factor', description: 'Authenticator apps and recovery codes.' },
    { name: 'Tenants', description: 'Invitations, members and the audit log of a tenant.' },
    { name: 'Clients', description: 'OAuth clients of a tenant, and their tokens.' },
    { name: 'Internal', description: 'For the gateway, on no public route.' },
  ],
  errors,
  problemMembers: admissionProblemMembers,
  endpoints: [
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
    createClientEndpoint,
    listClientsEndpoint,
    readClientEndpoint,
    changeClientEndpoint,
    deleteClientEndpoint,
    rotateSecretEndpoint,
    endSecretEndpoint,
    issueTokenEndpoint,
    delegateEndpoint,
    listDelegationsEndpoint,
    withdrawDelegationEndpoint,
    listAgentsEndpoint,
    authorizeEndpoint,
    followRevocationsEndpoint,
  ],
};
