import type { CallService } from '@countersign/identity';
import { z } from 'zod';
import type { AssigneeDirectory } from './domain/assignees.ts';
import { AppError } from './errors.ts';

const lookup = z.object({ id: z.string(), role: z.string(), status: z.string() });
const problem = z.object({ code: z.string() });

/**
 * Asks the users-service, through the gateway and for the caller, whether a user may take a complaint. Only its own
 * `unknown_user` answer means that the user does not exist. Every other failure says nothing about the assignee.
 *
 * The returned function throws AppError `assignees_unavailable`.
 */
export function createAssigneeDirectory(callService: CallService): AssigneeDirectory {
  return async ({ txnToken }, assigneeId) => {
    // URL parsers remove dot segments from a path, and no user has such an id.
    if (assigneeId === '.' || assigneeId === '..') return false;
    if (txnToken === undefined) throw unavailable({ reason: 'no txn-token: gateway.yaml hands this service none' });
    const { status, body } = await ask(callService, `/internal/users/${encodeURIComponent(assigneeId)}`, txnToken);
    if (status === 200) {
      const found = lookup.safeParse(body);
      if (!found.success || found.data.id !== assigneeId)
        throw unavailable({ reason: 'not an answer to the question' });
      return found.data.role === 'agent' && found.data.status === 'active';
    }
    const code = problem.safeParse(body).data?.code;
    if (status === 404 && code === 'unknown_user') return false;
    throw unavailable({ status, code });
  };
}

async function ask(
  callService: CallService,
  path: string,
  txnToken: string,
): Promise<Readonly<{ status: number; body: unknown }>> {
  try {
    const response = await callService({ method: 'GET', path, txnToken });
    return { status: response.status, body: await response.json() };
  } catch (cause) {
    throw unavailable({ reason: 'no answer' }, cause);
  }
}

const unavailable = (detail: Readonly<Record<string, unknown>>, cause?: unknown) =>
  new AppError('assignees_unavailable', { detail, cause });
