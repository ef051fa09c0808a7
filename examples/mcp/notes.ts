import { type CallToolResult, McpServer, requireScopes, type ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { type Caller, callerIn } from './caller.ts';

type Note = Readonly<{ id: string; text: string; by: string; through: string | undefined }>;

/** Each tenant's notes, which are kept in memory. */
const notes = new Map<string, Note[]>();

const notesOf = (ctx: ServerContext): Note[] => notes.get(callerIn(ctx).tenantId) ?? [];

/** Creates the MCP server, with tools for the notes of the caller's tenant. The route requires `notes.read`. */
export function createNotesServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  server.registerTool(
    'list_notes',
    { description: 'Lists the notes of your organization.', annotations: { readOnlyHint: true } },
    (ctx) => answer(notesOf(ctx)),
  );
  server.registerTool(
    'read_note',
    {
      description: 'Reads one note.',
      inputSchema: z.object({ id: z.string() }),
      annotations: { readOnlyHint: true },
    },
    ({ id }, ctx) => {
      const note = notesOf(ctx).find((one) => one.id === id);
      return note === undefined ? { ...answer('No note has this id.'), isError: true } : answer(note);
    },
  );
  server.registerTool(
    'add_note',
    {
      description: 'Adds a note for everyone in your organization.',
      inputSchema: z.object({ text: z.string().min(1).max(2000) }),
      // Responds with 403 insufficient_scope, which names the scope to request.
      scopeChallenge: requireScopes('notes.write'),
    },
    ({ text }, ctx) => {
      const caller = callerIn(ctx);
      const note = { id: String(notesOf(ctx).length + 1), text, ...authorOf(caller) };
      notes.set(caller.tenantId, [...notesOf(ctx), note]);
      return answer(note);
    },
  );
  return server;
}

/** Names the person or OAuth client, and the agent that acted for the person. */
const authorOf = ({ kind, id, actor }: Caller) => ({ by: `${kind} ${id}`, through: actor?.sub });

const answer = (value: unknown): CallToolResult => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });
