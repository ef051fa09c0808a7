import type { RequestListener } from 'node:http';
import type { Database } from '@countersign/database';
import { createVerifier, gatewayKeys, type IdentityClaims, memoryReplay, verifyUpgrade } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import { createHealth, createMetrics } from '@countersign/process-kit';
import type { Api, ServiceParts } from '@countersign/service-kit';
import type { Request } from 'express';
import supertest, { type Test } from 'supertest';
import { capturingLogger } from '../capturing-logger.ts';
import { testClock } from '../clock.ts';
import type { ThrowAway } from '../databases.ts';
import { asUser, type Person } from '../people.ts';
import { testGateway, type Unsigned } from '../test-gateway.ts';
import { assertDescribed } from './assert-described.ts';

export type CallOptions = Readonly<{
  /** Sent as JSON. */
  body?: unknown;
  rawBody?: string;
  /** Sent unchanged on a route with streamed bodies. The signature does not cover this body. */
  upload?: Buffer;
  /** Defaults to `application/json` if there is a body. */
  contentType?: string;
  headers?: Record<string, string>;
  /** More caller context, such as when they logged in. */
  context?: IdentityClaims['context'];
}>;

export type ServiceWorld<Schema> = Awaited<ReturnType<typeof serviceWorld<Schema>>>;

export type WorldOptions<Schema> = Readonly<{
  /** The service's name. */
  audience: string;
  /** The service's routes. Every response in every test is compared with their declarations. */
  api?: Api;
  /** See `ServeOptions.streams`. */
  streams?: (req: Request) => boolean;
  /** An open database with test data, which is closed together with the service. */
  database: ThrowAway<Schema>;
  createApp(
    parts: Pick<ServiceParts, 'identity' | 'health' | 'metrics' | 'logger'> & { db: Database<Schema> },
  ): RequestListener;
}>;

/** Starts a service's real app on a real database, behind a test gateway that signs any identity. */
export async function serviceWorld<Schema>(options: WorldOptions<Schema>) {
  const { audience, api, database } = options;
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000);
  const gateway = await testGateway(clock);
  const keys = gatewayKeys({ url: gateway.keysUrl });
  keys.start();
  const verifier = createVerifier({
    audience,
    keys,
    replay: memoryReplay({ nowMs: clock.nowMs }),
    nowMs: clock.nowMs,
  });
  clock.advance(1_000); // A replay memory refuses signatures from before it started.
  const counted = countTransactions(database.db);
  const log = capturingLogger();
  const app = options.createApp({
    db: counted.db,
    identity: verifyIdentity({ verifier, ...(options.streams && { stream: options.streams }) }),
    health: createHealth({}),
    metrics: createMetrics(),
    logger: log.logger,
  });

  /** Sends exactly these headers, signed or not. */
  const send = (method: string, target: string, headers: Record<string, string>, body?: string | Buffer): Test => {
    const request = supertest(app)[method.toLowerCase() as 'get'](target).set(headers);
    if (api !== undefined) request.expect((response) => assertDescribed(api, method, target, response));
    return body === undefined ? request : request.send(body);
  };
  return {
    db: database.db,
    log,
    clock,
    send,
    /** The app, for suites that listen on a port. */
    app,
    /** Verifies upgrades like the app verifies requests. */
    upgrade: verifyUpgrade({ verifier }),
    /** How many transactions the app has begun. Zero proves that no row was read. */
    transactions: counted.transactions,
    /** The headers that the gateway would create for this service, or for another `audience`. */
    sign: (unsigned: Omit<Unsigned, 'audience'> & { audience?: string }) => gateway.sign({ audience, ...unsigned }),
    /** Sends a request as the gateway would forward it. */
    call(who: Person, method: string, target: string, options: CallOptions = {}): Test {
      const { rawBody, body: json, upload, contentType = 'application/json', headers: more, context } = options;
      const signed = rawBody ?? (json === undefined ? undefined : JSON.stringify(json));
      const body = upload ?? signed;
      const typed = signed === undefined ? {} : { contentType };
      const claims = {
        claims: { ...asUser(who), ...(context && { context }) },
        audience,
        ...(upload !== undefined && { streamed: true }),
      };
      const headers = gateway.sign({ method, target, body: signed, ...claims, ...typed });
      return send(
        method,
        target,
        { ...headers, ...(body !== undefined && { 'content-type': contentType }), ...more },
        body,
      );
    },
    async close() {
      keys.stop();
      await gateway.close();
      await database.close();
    },
  };
}

/** Counts transactions, because all reads and writes are in transactions. */
function countTransactions<Schema>(db: Database<Schema>) {
  let begun = 0;
  const counting: Database<Schema> = {
    ...db,
    transaction(scope, work) {
      begun += 1;
      return db.transaction(scope, work);
    },
  };
  return { db: counting, transactions: () => begun };
}
