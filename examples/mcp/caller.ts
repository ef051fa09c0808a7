import type { Identity, IdentityContext } from '@countersign/identity';
import type { AuthInfo, ServerContext } from '@modelcontextprotocol/server';

/** The caller in a tenant: a person, an OAuth client, or an agent that acts for a person. */
export type Caller = Readonly<{
  kind: 'user' | 'client';
  id: string;
  tenantId: string;
  scopes: readonly string[];
  /** The agent that acts for the person. Its `sub` is unique only together with its `iss`. */
  actor: IdentityContext['act'];
}>;

/** @returns Undefined for an OAuth client without a tenant, because all notes belong to tenants. */
export function callerOf(identity: Identity): Caller | undefined {
  if (identity.kind !== 'user' && identity.kind !== 'client') return undefined;
  const { kind, tenantId, context } = identity;
  if (tenantId === undefined) return undefined;
  const id = identity.kind === 'user' ? identity.userId : identity.clientId;
  return { kind, id, tenantId, scopes: context.scope ?? [], actor: context.act };
}

/** Passes the caller to the MCP SDK, and so to every tool, without a token: the gateway forwards none. */
export function toAuthInfo(caller: Caller): AuthInfo {
  return { token: '', clientId: caller.id, scopes: [...caller.scopes], extra: { caller } };
}

/** Returns the caller of the request that a tool handles, whichever session it belongs to. */
export function callerIn({ http }: ServerContext): Caller {
  const { caller } = http?.authInfo?.extra ?? {};
  if (caller === undefined) throw new Error('the request was not passed to the SDK with toAuthInfo');
  return caller as Caller;
}
