import { type components, createClient, type Session } from '@countersign/client';
import { stored } from './store.ts';

type Schemas = components['schemas'];
export type Complaint = Schemas['Complaint'];
export type Status = Schemas['ComplaintStatus'];
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
const ofClient = /\/v1\/(?:auth\/refresh|complaints\/events)$/;

async function notedFetch(request: Request): Promise<Response> {
  const response = await fetch(request);
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
