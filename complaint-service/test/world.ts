import { type TestDatabase, tenants, people as usual } from '@countersign/testing';
import { serviceWorld } from '@countersign/testing/service';
import { v7 as uuidv7 } from 'uuid';
import { createApp } from '../src/app.ts';
import type { AssigneeDirectory } from '../src/domain/assignees.ts';
import { migrations } from '../src/store/migrations.ts';
import { appRole, type ComplaintsSchema, loginRole } from '../src/store/schema.ts';

export const audience = 'complaint-service';

export const people = {
  ...usual,
  neighbour: { ...usual.complainant, userId: '0197c2a0-0000-7000-8000-0000000000a4' },
  strangerComplainant: { ...usual.complainant, tenantId: tenants.globex },
};

const noAssignees: AssigneeDirectory = async () => false;

/** Starts the service on an empty database. Tests can choose new ids and read every row. */
export async function complaintsWorld(where: TestDatabase, assignees: AssigneeDirectory = noAssignees) {
  const database = await where.open<ComplaintsSchema>({ login: loginRole, roles: [appRole], migrations });
  let forcedId: string | undefined;
  let laterMs = 0;
  const world = await serviceWorld({
    audience,
    database,
    createApp: ({ db, ...parts }) =>
      createApp(parts, { db, newId: () => forcedId ?? uuidv7(), now: () => new Date(Date.now() + laterMs), assignees }),
  });
  return {
    ...world,
    /** Makes every new id this one. Undefined restores fresh ids. */
    nextIds(id: string | undefined) {
      forcedId = id;
    },
    /** Moves the service's clock, forward or back. */
    moveClock(ms: number) {
      laterMs += ms;
    },
    /** Returns every row of every tenant, to check that nothing was written. */
    async rows() {
      const read = Object.values(tenants).map((tenantId) =>
        world.db.transaction({ role: appRole, tenantId }, async (trx) => ({
          complaints: await trx.selectFrom('complaints').selectAll().orderBy('id').execute(),
          comments: await trx.selectFrom('comments').selectAll().orderBy('id').execute(),
          history: await trx.selectFrom('history').selectAll().orderBy('id').execute(),
          terms: await trx.selectFrom('terms').selectAll().orderBy('term').orderBy('complaint_id').execute(),
        })),
      );
      return Promise.all(read);
    },
  };
}
