import type { Request, Response } from 'express';
import { clearedRefreshCookie, refreshCookiesIn } from '../../domain/sessions/refresh-cookie.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';

/** Origins of the pages that may use the cookie, as browsers write them: `https://app.example.com`. */
export type BrowserParts = Readonly<{ browserOrigins: ReadonlySet<string> }>;

export type PresentedRefreshToken = Readonly<{ token: string; transport: Transport }>;

/**
 * The refresh token of the body, or of the cookie. A cookie goes along with whatever a page sends, so it counts only with an
 * `Origin` that we know, which no page can forge, and `X-Requested-With`, which no form can set.
 *
 * @throws AppError `cross_site_refused`; `two_refresh_tokens` when there is more than one.
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
 * Before a cookie is first set. A client that is no browser sends no `Origin`; a page that we do not know must not log a
 * person in as somebody else.
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

/** Runs what a cookie was presented to, and takes it from the browser when its session turns out to be over. */
export async function clearingDeadCookie<T>(transport: Transport, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (transport === 'body' || !(error instanceof AppError) || !endings.has(error.code)) throw error;
    const { code, cause, detail } = error;
    throw new AppError(code, { cause, ...(detail && { detail }), headers: { 'set-cookie': clearedRefreshCookie } });
  }
}

/** After a logout, where the browser holds one. */
export function clearCookie(req: Request, res: Response): void {
  if (refreshCookiesIn(req.headers.cookie).length > 0) res.append('set-cookie', clearedRefreshCookie);
}
