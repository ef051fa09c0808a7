import { type components, createClient, type Session } from '@countersign/client';
import { photoStore } from './filing/photo-store.ts';
import { stored, useStored } from './store.ts';
import { fetchWithProgress, uploads } from './upload.ts';

type Schemas = components['schemas'];
export type Complaint = Schemas['Complaint'];
export type Status = Schemas['ComplaintStatus'];
/** A status change that the user can make. */
export type Transition = Complaint['allowed']['transitions'][number];
export type Priority = Schemas['Priority'];
export type Attachment = Schemas['Attachment'];

/** This browser's session. Undefined before a login and after the session has ended. */
export const session = stored<Session | undefined>(undefined);

/** A request by the page, for the link to the gateway's console: the user's last action, or else the last read. */
export const lastRequestId = stored<string | undefined>(undefined);
let hasActed = false;

/** Forgets the actions on the previous page. */
export function beginPage(): void {
  hasActed = false;
}

/** Requests that the client makes by itself. */
const ofClient = /\/v1\/(?:auth\/refresh|complaints\/events|users\/me)$/;

async function notedFetch(request: Request): Promise<Response> {
  const onShare = uploads.get(request.headers.get('idempotency-key') ?? '');
  const response = await (onShare === undefined ? fetch(request) : fetchWithProgress(request, onShare));
  const isAction = request.method !== 'GET';
  if (!ofClient.test(new URL(request.url).pathname) && (isAction || !hasActed)) {
    hasActed = isAction;
    lastRequestId.set(response.headers.get('x-request-id') ?? undefined);
  }
  return response;
}

/** Keeps the access token in memory. The refresh token is in a cookie that scripts cannot read. */
export const client = createClient({ transport: 'cookie', fetch: notedFetch, onSession: session.set });

export const isStaff = (of: Session): boolean => of.tenant.role === 'agent' || of.tenant.role === 'admin';

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
