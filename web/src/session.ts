import type { Session } from '@countersign/client';
import { client, session } from './client.ts';
import { photoStore } from './filing/photo-store.ts';
import { stored, useStored } from './store.ts';

/** The session on a page that requires one. */
export function useSession(): Session {
  const current = useStored(session);
  if (current === undefined) throw new Error('this page needs a session');
  return current;
}

const returnKey = 'countersign.return';

/** Stores this page's URL, to return here after the login. */
export function rememberPage(): void {
  sessionStorage.setItem(returnKey, location.pathname + location.search);
}

/** Returns to the page that the login in this tab interrupted. */
export function returnToPage(): void {
  const address = sessionStorage.getItem(returnKey);
  sessionStorage.removeItem(returnKey);
  if (address !== null && location.pathname === '/app/') history.replaceState(null, '', address);
}

/** Closes event streams before ending the session, because the gateway would cut them off. */
export const isLeaving = stored(false);

/** Ends the session, and removes drafts from this device. */
export async function logOut(): Promise<void> {
  isLeaving.set(true);
  const { error, response } = await client.logOut().finally(() => isLeaving.set(false));
  if (error !== undefined && response.status !== 401) throw new TypeError('the session has not ended');
  sessionStorage.clear();
  await photoStore.clear();
}
