import { type Api, mergeApis } from '@countersign/service-kit';
import { api as authApi } from '../../auth-service/src/routes/api.ts';
import { api as complaintsApi } from '../../complaint-service/src/routes/api.ts';
import { errorTable as gatewayErrors } from '../../gateway/src/errors.ts';
import { api as usersApi } from '../../users-service/src/routes/api.ts';

export const serviceApis: Readonly<Record<string, Api>> = {
  'auth-service': authApi,
  'users-service': usersApi,
  'complaint-service': complaintsApi,
};

/** Everything that callers can use through the gateway that `npm start` runs. */
export const mergedApi: Api = mergeApis(Object.values(serviceApis), {
  title: 'Countersign',
  description:
    'Accounts, sessions, users and complaints behind one gateway. Log in with `logIn`, then send the access token as ' +
    '`Authorization: Bearer …`. Every error is a problem (RFC 9457) with a stable `code`.',
  gatewayErrors,
});
