import type { Database } from '@countersign/database';
import { createVerifier, memoryReplay } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import { createHealth, createMetrics } from '@countersign/service-kit';
import { capturingLogger, type TestDatabase, testClock } from '@countersign/testing';
import supertest from 'supertest';
import { v7 as uuidv7 } from 'uuid';
import { createApp } from '../src/app.ts';
import type { AssigneeDirectory } from '../src/domain/assignees.ts';
import { migrations } from '../src/store/migrations.ts';
import { appRole, type ComplaintsSchema, loginRole } from '../src/store/schema.ts';
import { asUser, type Person, testGateway, type Unsigned } from './gateway.ts';

export const audience = 'complaint-service';
const acme = '0197c2a0-0000-7000-8000-00000000000a';
const globex = '0197c2a0-0000-7000-8000-00000000000b';
const person = (tenantId: string, userId: string, role: string): Person => ({ tenantId, userId, role });

export const people = {
  complainant: person(acme, '0197c2a0-0000-7000-8000-0000000000a1', 'complainant'),
  neighbour: person(acme, '0197c2a0-0000-7000-8000-0000000000a4', 'complainant'),
  agent: person(acme, '0197c2a0-0000-7000-8000-0000000000a2', 'agent'),
  admin: person(acme, '0197c2a0-0000-7000-8000-0000000000a3', 'admin'),
  stranger: person(globex, '0197c2a0-0000-7000-8000-0000000000b2', 'admin'),
  strangerComplainant: person(globex, '0197c2a0-0000-7000-8000-0000000000a1', 'complainant'),
};

export type CallOptions = Readonly<{
  body?: unknown;
  rawBody?: string;
  contentType?: string;
  headers?: Record<string, string>;
}>;

const nobody: AssigneeDirectory = async () => false;

/** The real app on a real database, behind a gateway that signs for anybody. */
export async function complaintsWorld(database: TestDatabase, assignees: AssigneeDirectory = nobody) {
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000);
  const gateway = await testGateway(clock);
  const verifier = createVerifier({
    audience,
    keys: gateway.keys,
    replay: memoryReplay({ nowMs: clock.nowMs }),
    nowMs: clock.nowMs,
  });
  clock.advance(1_000); // Memory refuses what was created before it was there.
  const opened = await database.open<ComplaintsSchema>({ login: loginRole, roles: [appRole], migrations });
  const counted = countTransactions(opened.db);
  const log = capturingLogger();
  let forcedId: string | undefined;
  const app = createApp(
    {
      identity: verifyIdentity({ verifier }),
      health: createHealth({}),
      metrics: createMetrics(),
      logger: log.logger,
    },
    { db: counted.db, newId: () => forcedId ?? uuidv7(), now: () => new Date(), assignees },
  );

  const send = (method: string, target: string, headers: Record<string, string>, body?: string) => {
    const request = supertest(app)[method.toLowerCase() as 'get'](target).set(headers);
    return body === undefined ? request : request.send(body);
  };
  return {
    db: opened.db,
    log,
    clock,
    send,
    transactions: counted.transactions,
    sign: (unsigned: Omit<Unsigned, 'audience'> & { audience?: string }) => gateway.sign({ audience, ...unsigned }),
    /** One request as the gateway would forward it. */
    call(who: Person, method: string, target: string, options: CallOptions = {}) {
      const body = options.rawBody ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
      const contentType = options.contentType ?? 'application/json';
      const typed = body === undefined ? {} : { contentType };
      const headers = gateway.sign({ method, target, body, facts: asUser(who), audience, ...typed });
      return send(
        method,
        target,
        { ...headers, ...(body !== undefined && { 'content-type': contentType }), ...options.headers },
        body,
      );
    },
    /** Makes every new id this one, until it is undefined again. */
    nextIds(id: string | undefined) {
      forcedId = id;
    },
    /** Every row of every tenant here, to see that nothing was written. */
    async rows(): Promise<unknown> {
      const tenants = [acme, globex].map((tenantId) =>
        opened.db.transaction({ role: appRole, tenantId }, async (trx) => ({
          complaints: await trx.selectFrom('complaints').selectAll().orderBy('id').execute(),
          comments: await trx.selectFrom('comments').selectAll().orderBy('id').execute(),
          history: await trx.selectFrom('history').selectAll().orderBy('id').execute(),
          terms: await trx.selectFrom('terms').selectAll().orderBy('term').orderBy('complaint_id').execute(),
        })),
      );
      return Promise.all(tenants);
    },
    async close() {
      await gateway.close();
      await opened.close();
    },
  };
}

/** Every read and write goes through a transaction: none begun is no row read. */
function countTransactions(db: Database<ComplaintsSchema>) {
  let begun = 0;
  const counting: Database<ComplaintsSchema> = {
    ...db,
    transaction(scope, work) {
      begun += 1;
      return db.transaction(scope, work);
    },
  };
  return { db: counting, transactions: () => begun };
}
