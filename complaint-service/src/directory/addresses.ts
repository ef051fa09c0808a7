import type { CallService } from '@countersign/identity';
import { z } from 'zod';
import type { AddressBook } from '../domain/people.ts';

const answer = z.object({
  members: z.array(z.object({ id: z.string(), role: z.string(), status: z.string(), email: z.string() })),
});

/** Asks the users-service for addresses. No user is being served, so the call names the tenant. */
export function createAddressBook(callService: CallService): AddressBook {
  return async (tenantId, userId, signal) => {
    const response = await callService({
      method: 'POST',
      path: '/internal/users/addresses',
      json: { tenant_id: tenantId, ids: [userId] },
      signal,
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw Object.assign(new Error('the users-service gave no address'), { code: `HTTP_${response.status}` });
    }
    const { members } = answer.parse(await response.json());
    return members.find(({ id }) => id === userId);
  };
}
