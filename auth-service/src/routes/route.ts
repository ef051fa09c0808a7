import { routesWith } from '@countersign/service-kit';
import type { ErrorCode } from '../errors.ts';
import type { RegisterParts } from '../flows/accounts/register.ts';
import type { AuthenticateParts } from '../flows/clients/authenticate-client.ts';
import type { IssueParts } from '../flows/clients/issue-client-token.ts';
import type { SecondStepParts } from '../flows/second-factor/second-step.ts';
import type { Feed } from '../flows/sessions/follow-revocations.ts';
import type { LoginParts } from '../flows/sessions/log-in.ts';
import type { RefreshParts } from '../flows/sessions/refresh.ts';
import type { BrowserParts } from './sessions/browser.ts';
import type { TokenSigner } from './sessions/token-answer.ts';

/** The dependencies of all routes. */
export type RouteParts = LoginParts &
  SecondStepParts &
  RefreshParts &
  RegisterParts &
  TokenSigner &
  AuthenticateParts &
  IssueParts &
  BrowserParts &
  Readonly<{
    feed: Feed;
    pages: Readonly<{
      /** Origins of the account pages. Only forms from these origins are accepted. */
      origins: ReadonlySet<string>;
      /** Where to redirect after a login: a path on the same origin. */
      afterLogin: string;
    }>;
  }>;

export const route = routesWith<ErrorCode, RouteParts>();
