import { queryOptions, useQuery } from '@tanstack/react-query';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useRef } from 'react';
import { useLiveEvents } from './queries.ts';
import { beginPage, client, isStaff, lastRequestId, useSession } from './session.ts';
import { useStored } from './store.ts';
import { language, useTexts } from './texts/texts.ts';
import { AccountMenu } from './ui/account-menu.tsx';

/** The installation's settings, from the server that serves these files. */
export type Config = Readonly<{
  /** The URL of the operators' console. Undefined if users have no access to it. */
  console?: string;
}>;

const configQuery = queryOptions({
  queryKey: ['config'],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async ({ signal }): Promise<Config> => {
    const response = await fetch('/app/config.json', { signal });
    return response.ok ? response.json() : {};
  },
});

const useConfig = (): Config => useQuery(configQuery).data ?? {};

const savedLanguage = 'countersign.saved-language';

/** Stores the language in the user's profile, because emails use it. */
function useSavedLanguage(): void {
  const { user, tenant } = useSession();
  const locale = useStored(language);
  const choice = `${tenant.id} ${user.id} ${locale}`;
  useEffect(() => {
    if (localStorage.getItem(savedLanguage) === choice) return;
    client.api
      .PATCH('/v1/users/me', { body: { locale } })
      .then(({ response }) => response.ok && localStorage.setItem(savedLanguage, choice))
      // The next page load tries again.
      .catch(() => {});
  }, [choice, locale]);
}

const StaffBar = lazy(() => import('./staff/staff-bar.tsx').then(({ StaffBar: bar }) => ({ default: bar })));

/** The layout of every page. */
export function Layout() {
  const texts = useTexts();
  const staff = isStaff(useSession());
  // The page that the router shows, which differs from the one that it is loading.
  const pathname = useRouterState({ select: ({ resolvedLocation }) => resolvedLocation?.pathname });
  const main = useRef<HTMLElement>(null);
  const shown = useRef<string>(undefined);
  useLiveEvents();
  useSavedLanguage();
  // Moves the focus, so that screen readers announce the new page and Tab continues there. Not on the first page, where
  // Tab begins at the top.
  useEffect(() => {
    const isAnother = shown.current !== undefined && shown.current !== pathname;
    if (isAnother && main.current?.contains(document.activeElement) === false) main.current.focus();
    shown.current = pathname;
    beginPage();
  }, [pathname]);
  return (
    <>
      <a className="skip" href="#main">
        {texts.skip}
      </a>
      <header className="top">
        <Link className="brand" to="/">
          <img src="/app/icon.svg" alt="" width="26" height="26" />
          {texts.product}
        </Link>
        <nav aria-label={texts.menu.main}>
          {staff ? (
            <Link to="/queue" search={{}}>
              {texts.menu.queue}
            </Link>
          ) : (
            <>
              <Link to="/" activeOptions={{ exact: true }}>
                {texts.menu.mine}
              </Link>
              <Link to="/new" search={{ step: 'category' }} activeOptions={{ includeSearch: false }}>
                <span className="long">{texts.menu.file}</span>
                <span className="short">{texts.menu.fileShort}</span>
              </Link>
            </>
          )}
        </nav>
        {staff && (
          <Suspense>
            <StaffBar />
          </Suspense>
        )}
        <AccountMenu />
      </header>
      <main id="main" className="stack" ref={main} tabIndex={-1}>
        <Outlet />
      </main>
      <GatewayLink />
    </>
  );
}

/** A link to the operators' console, if there is one, which shows what the gateway did with the last request. */
function GatewayLink() {
  const texts = useTexts();
  const { console } = useConfig();
  const id = useStored(lastRequestId);
  if (console === undefined || id === undefined) return null;
  return (
    <footer>
      <a href={`${console}/console/requests/${id}`} target="_blank" rel="noreferrer">
        {texts.gateway.link}
      </a>{' '}
      <span className="muted">({texts.gateway.tab})</span>
    </footer>
  );
}
