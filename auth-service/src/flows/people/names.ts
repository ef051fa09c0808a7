import type { CallService } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import { z } from 'zod';
import { AppError } from '../../errors.ts';

/** The display names of a tenant's members, which the users-service stores. */
export type Names = Readonly<{
  /** @returns undefined while the users-service is unavailable. People without a name are missing. */
  namesOf(tenantId: string, userIds: readonly string[]): Promise<ReadonlyMap<string, string> | undefined>;
  /** @throws AppError `names_unavailable`. */
  rename(tenantId: string, userId: string, name: string): Promise<void>;
}>;

const answer = z.object({ names: z.record(z.string(), z.string()) });
const timeoutMs = 2_000;

export function createNames(callService: CallService, logger: Logger): Names {
  async function ask(path: string, json: object): Promise<Response> {
    try {
      const response = await callService({ method: 'POST', path, json, signal: AbortSignal.timeout(timeoutMs) });
      if (response.ok) return response;
      throw new Error(`the users-service answered ${response.status}`);
    } catch (cause) {
      throw new AppError('names_unavailable', { cause });
    }
  }
  return {
    async namesOf(tenantId, userIds) {
      if (userIds.length === 0) return new Map();
      try {
        const response = await ask('/internal/members/names', { tenant_id: tenantId, ids: userIds });
        return new Map(Object.entries(answer.parse(await response.json()).names));
      } catch (error) {
        logger.warn({ err: error }, 'names are unavailable');
        return undefined;
      }
    },
    async rename(tenantId, userId, name) {
      await ask('/internal/members/name', { tenant_id: tenantId, user_id: userId, display_name: name });
    },
  };
}
