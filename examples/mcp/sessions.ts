import { randomUUID } from 'node:crypto';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import type { McpServer } from '@modelcontextprotocol/server';
import type { Request, Response } from 'express';
import { type Caller, toAuthInfo } from './caller.ts';

type Session = { readonly owner: string; readonly transport: NodeStreamableHTTPServerTransport; usedAtMs: number };

const maxSessionsPerOwner = 20;
const maxIdleMs = 30 * 60_000;

/** Compares every member of the caller, because another agent of the same person must not take over a session. */
const ownerOf = ({ kind, id, tenantId, actor }: Caller): string =>
  JSON.stringify([kind, id, tenantId, actor?.iss, actor?.sub]);

/**
 * Serves MCP clients of the 2025 revisions, which keep sessions. A session id is not a credential: it works only for
 * the caller who opened the session, and each request has only the scopes of its own token.
 *
 * @see MCP, security best practices, "session hijacking"
 */
export function serveSessions(createServer: () => McpServer) {
  const sessions = new Map<string, Session>();

  async function open(owner: string): Promise<NodeStreamableHTTPServerTransport> {
    closeUnused(owner);
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, { owner, transport, usedAtMs: Date.now() }),
    });
    transport.onclose = () => void sessions.delete(transport.sessionId ?? '');
    await createServer().connect(transport);
    return transport;
  }

  function closeUnused(owner: string): void {
    const all = [...sessions.values()].sort((a, b) => b.usedAtMs - a.usedAtMs);
    const surplus = all.filter((session) => session.owner === owner).slice(maxSessionsPerOwner - 1);
    const idle = all.filter(({ usedAtMs }) => usedAtMs < Date.now() - maxIdleMs);
    for (const { transport } of new Set([...surplus, ...idle])) void transport.close();
  }

  return async (req: Request, res: Response, caller: Caller): Promise<void> => {
    const owner = ownerOf(caller);
    const id = req.get('mcp-session-id');
    const session = id === undefined ? undefined : sessions.get(id);
    if (id !== undefined && session?.owner !== owner) {
      // The same response as for an unknown id, after which MCP clients start a new session.
      res.status(404).json({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null });
      return;
    }
    if (session !== undefined) session.usedAtMs = Date.now();
    const transport = session?.transport ?? (await open(owner));
    await transport.handleRequest(Object.assign(req, { auth: toAuthInfo(caller) }), res, req.body);
  };
}
