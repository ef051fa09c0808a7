import type { Request, Response } from 'express';
import { clearedRefreshCookie, clearedSignedIn, refreshCookiesIn } from '../../domain/sessions/refresh-cookie.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';

/** Origins whose pages can use the cookie, as browsers send them: `https://app.example.com`. */
export type BrowserParts = Readonly<{ browserOrigins: ReadonlySet<string> }>;

export type PresentedRefreshToken = Readonly<{ token: string; transport: Transport }>;

/**
 * Finds the refresh token in the body or the cookie. Browsers attach the cookie to every request, so the cookie is
 * accepted only with a known `Origin`, which a page cannot forge, and with `X-Requested-With`, which a form cannot set.
 *
 * @throws AppError `cross_site_refused`; `two_refresh_tokens` if there are several.
 */
export function refreshTokenOf(
  { browserOrigins }: BrowserParts,
  req: Request,
  inBody: string | undefined,
): PresentedRefreshToken | undefined {
  const [cookie, another] = refreshCookiesIn(req.headers.cookie);
  if (another !== undefined || (cookie !== undefined && inBody !== undefined)) throw new AppError('two_refresh_tokens');
  if (inBody !== undefined) return { token: inBody, transport: 'body' };
  if (cookie === undefined) return undefined;
  if (!browserOrigins.has(req.headers.origin ?? '') || !req.get('x-requested-with')) {
    throw new AppError('cross_site_refused');
  }
  return { token: cookie, transport: 'cookie' };
}

/**
 * Checks the origin before the cookie is set, because another site must not log a user in to a different account. Only
 * browsers send `Origin`.
 *
 * @throws AppError `cross_site_refused`
 */
export function refuseForeignPage({ browserOrigins }: BrowserParts, req: Request, transport: Transport): void {
  const { origin } = req.headers;
  if (transport === 'cookie' && origin !== undefined && !browserOrigins.has(origin)) {
    throw new AppError('cross_site_refused');
  }
}

const endings: ReadonlySet<string> = new Set(['refresh_token_reused', 'session_expired', 'session_revoked']);

/** Runs `work`, and clears the browser's cookie if the session has ended. */
export async function clearingDeadCookie<T>(transport: Transport, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (transport === 'body' || !(error instanceof AppError) || !endings.has(error.code)) throw error;
    const { code, cause, detail } = error;
    throw new AppError(code, { cause, ...(detail && { detail }), headers: { 'set-cookie': clearedRefreshCookie } });
  }
}

/** Clears the browser's cookies, if it sent any, after a logout. */
export function clearCookie(req: Request, res: Response): void {
  if (refreshCookiesIn(req.headers.cookie).length > 0)
    res.append('set-cookie', [clearedRefreshCookie, clearedSignedIn]);
}
