import { docsPage } from '@countersign/process-kit';
import type { Api } from '@countersign/service-kit';
import { errors } from '../errors.ts';
import { accountRoutes } from './accounts.ts';
import { oauthClientRoutes } from './clients/clients.ts';
import { delegationRoutes } from './clients/delegations.ts';
import { tokenRoutes } from './clients/token.ts';
import { secondFactorRoutes } from './second-factor/second-factor.ts';
import { revocationRoutes } from './sessions/revocations.ts';
import { sessionRoutes } from './sessions/sessions.ts';
import { admissionProblemMembers } from './sessions/token-answer.ts';
import { tenantRoutes } from './tenants/tenants.ts';

export const routes = [
  ...accountRoutes,
  ...sessionRoutes,
  ...secondFactorRoutes,
  ...tenantRoutes,
  ...oauthClientRoutes,
  ...tokenRoutes,
  ...delegationRoutes,
  ...revocationRoutes,
];

export const api: Api = {
  title: 'Countersign auth-service',
  description: `Manages accounts, logins, tokens and sessions. All requests go through the gateway, which adds [its own error codes](${docsPage('errors.md')}).`,
  tags: [
    { name: 'Accounts', description: 'Registration, email confirmation and passwords.' },
    { name: 'Sessions', description: 'Logins, tokens and your sessions.' },
    { name: 'Second factor', description: 'Authenticator apps and recovery codes.' },
    { name: 'Tenants', description: 'Invitations, members and the audit log.' },
    { name: 'Clients', description: 'OAuth clients, their tokens, and delegations to them.' },
    { name: 'Internal', description: 'Only for the gateway. Not available from outside.' },
  ],
  errors,
  problemMembers: admissionProblemMembers,
  endpoints: routes.map(({ endpoint }) => endpoint),
};
