import type { CallService } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import { z } from 'zod';
import type { AddressBook, PeopleDirectory } from '../domain/people.ts';
import { AppError } from '../errors.ts';
import { createNames, maxBatch } from './names.ts';

const lookup = z.object({ id: z.string(), role: z.string(), status: z.string() });
const problem = z.object({ code: z.string() });

/** Looks up people in the users-service, through the gateway and on behalf of the caller. */
export function createPeopleDirectory(
  callService: CallService,
  parts: Readonly<{ logger: Logger; nowMs?: () => number }>,
): PeopleDirectory {
  return { find: findWith(callService), namesOf: createNames(callService, parts) };
}

/** Only the users-service's own `unknown_user` means that the user does not exist. */
const findWith =
  (callService: CallService): PeopleDirectory['find'] =>
  async ({ txnToken }, userId) => {
    // URL parsers remove these path segments, and no user has such an id.
    if (userId === '.' || userId === '..') return undefined;
    if (txnToken === undefined)
      throw unavailable({ reason: 'no txn-token: set txnToken for this service in gateway.yaml' });
    const { status, body } = await ask(callService, `/internal/users/${encodeURIComponent(userId)}`, txnToken);
    if (status === 200) {
      const found = lookup.safeParse(body);
      if (!found.success || found.data.id !== userId) throw unavailable({ reason: 'the response is invalid' });
      return found.data;
    }
    const code = problem.safeParse(body).data?.code;
    if (status === 404 && code === 'unknown_user') return undefined;
    throw unavailable({ status, code });
  };

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
  new AppError('people_unavailable', { detail, cause });

const answer = z.object({
  members: z.array(
    z.object({
      id: z.string(),
      role: z.string(),
      status: z.string(),
      email: z.string(),
      display_name: z.string().nullish(),
      locale: z.string().nullish(),
    }),
  ),
});

/** Reads email addresses from the users-service. No user made a request, so the call names the tenant. */
export function createAddressBook(callService: CallService): AddressBook {
  return async (tenantId, userIds, signal) => {
    const response = await callService({
      method: 'POST',
      path: '/internal/users/addresses',
      json: { tenant_id: tenantId, ids: userIds.slice(0, maxBatch) },
      signal,
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw Object.assign(new Error('the users-service returned no address'), { code: `HTTP_${response.status}` });
    }
    const { members } = answer.parse(await response.json());
    return new Map(members.map(({ display_name: name, ...member }) => [member.id, { ...member, name }]));
  };
}
