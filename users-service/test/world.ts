import type { Database } from '@countersign/database';
import { createVerifier, memoryReplay } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import { createHealth, createMetrics } from '@countersign/service-kit';
import { capturingLogger, type TestDatabase, testClock } from '@countersign/testing';
import supertest from 'supertest';
import { createApp, newStamp } from '../src/app.ts';
import { type Seed, seedMembers } from '../src/seed.ts';
import { migrations } from '../src/store/migrations.ts';
import { appRole, loginRole, type UsersSchema } from '../src/store/schema.ts';
import { asUser, type Person, testGateway, type Unsigned } from './gateway.ts';

export const audience = 'users-service';
const acme = '0197c2a0-0000-7000-8000-00000000000a';
const globex = '0197c2a0-0000-7000-8000-00000000000b';
const person = (tenantId: string, userId: string, role: string): Person => ({ tenantId, userId, role });

export const people = {
  complainant: person(acme, '0197c2a0-0000-7000-8000-0000000000a1', 'complainant'),
  agent: person(acme, '0197c2a0-0000-7000-8000-0000000000a2', 'agent'),
  admin: person(acme, '0197c2a0-0000-7000-8000-0000000000a3', 'admin'),
  stranger: person(globex, '0197c2a0-0000-7000-8000-0000000000b2', 'admin'),
};

export const seed: Seed = {
  tenants: [acme, globex].map((id) => ({
    id,
    members: Object.entries(people)
      .filter(([, { tenantId }]) => tenantId === id)
      .map(([name, { userId, role }]) => ({
        user_id: userId,
        role,
        email: `${name}@${id === acme ? 'acme' : 'globex'}.test`,
        display_name: `${name[0]?.toUpperCase()}${name.slice(1)} Smith`,
      })),
  })),
};

export type CallOptions = Readonly<{
  body?: unknown;
  rawBody?: string;
  contentType?: string;
  headers?: Record<string, string>;
}>;

/** The real app on a real database, behind a gateway that signs for anybody. */
export async function usersWorld(database: TestDatabase) {
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000);
  const gateway = await testGateway(clock);
  const verifier = createVerifier({
    audience,
    keys: gateway.keys,
    replay: memoryReplay({ nowMs: clock.nowMs }),
    nowMs: clock.nowMs,
  });
  clock.advance(1_000); // Memory refuses what was created before it was there.
  const opened = await database.open<UsersSchema>({ login: loginRole, roles: [appRole], migrations });
  await seedMembers(opened.db, seed, newStamp);
  const counted = countTransactions(opened.db);
  const log = capturingLogger();
  const app = createApp({
    db: counted.db,
    identity: verifyIdentity({ verifier }),
    health: createHealth({}),
    metrics: createMetrics(),
    logger: log.logger,
    stamp: newStamp,
  });

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
    async close() {
      await gateway.close();
      await opened.close();
    },
  };
}

/** Every read and write goes through a transaction: none begun is no row read. */
function countTransactions(db: Database<UsersSchema>) {
  let begun = 0;
  const counting: Database<UsersSchema> = {
    ...db,
    transaction(scope, work) {
      begun += 1;
      return db.transaction(scope, work);
    },
  };
  return { db: counting, transactions: () => begun };
}
