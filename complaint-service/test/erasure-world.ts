import { readdir } from 'node:fs/promises';
import { silentLogger, type TestDatabase } from '@countersign/testing';
import { afterAll, beforeAll } from '@jest/globals';
import { runErasures } from '../src/flows/erasure.ts';
import { complaintsWorld, directoryOf, people } from './world.ts';

const { complainant, agent, admin } = people;
export const dayMs = 24 * 3600_000;

/** A test world for erasure: accounts can be disabled, the clock moved, and people erased. */
export function erasureWorld(database: TestDatabase) {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  /** The people whose accounts are disabled. */
  const disabled = new Set<string>();
  beforeAll(async () => {
    world = await complaintsWorld(database, directoryOf(undefined, disabled));
  });
  afterAll(() => world.close());

  const fresh = () => ({ authTime: Math.floor(Date.now() / 1000) - 60 + Math.floor(ahead / 1000) });
  let ahead = 0;
  const moveClock = (ms: number) => {
    ahead += ms;
    world.moveClock(ms);
  };
  const schedule = (userId: string, context: { authTime?: number; sid?: string } = fresh(), who = admin) =>
    world.call(who, 'POST', '/v1/complaints/erasures', { body: { user_id: userId }, context });
  /** Erases a person. Their account is disabled meanwhile, and enabled again afterwards. */
  const erase = async (userId: string) => {
    disabled.add(userId);
    await schedule(userId).expect(202);
    moveClock(3 * dayMs);
    await run();
    disabled.delete(userId);
  };
  const run = () => runErasures({ ...world.flows, logger: silentLogger() }, new AbortController().signal);
  const files = async () =>
    (await readdir(world.attachments, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
      .length;
  /** Files a complaint with everything that can belong to one. */
  async function fileComplaint(who = complainant): Promise<string> {
    const body = {
      title: 'Private title',
      description: 'Private words',
      category: 'light',
      location: { latitude: 1, longitude: 2, address: 'Private street' },
    };
    const id = (await world.call(who, 'POST', '/v1/complaints', { body }).expect(201)).body.id;
    await world.call(who, 'PATCH', `/v1/complaints/${id}`, { body: { title: 'Private title 2' } }).expect(200);
    await world.call(who, 'POST', `/v1/complaints/${id}/comments`, { body: { body: 'Private comment' } }).expect(201);
    await world
      .call(who, 'POST', `/v1/complaints/${id}/attachments?name=private.txt`, {
        upload: Buffer.from('Private file'),
        contentType: 'text/plain',
      })
      .expect(201);
    return id;
  }
  const reject = (id: string) =>
    world
      .call(agent, 'POST', `/v1/complaints/${id}/transition`, { body: { to: 'rejected', reason: 'Private reason' } })
      .expect(200);
  const keep = (who: typeof admin, policy: object) =>
    world
      .call(who, 'PUT', '/v1/complaints/retention', {
        body: { closed_days: null, action: 'anonymise', texts: 'remove', ...policy },
        context: fresh(),
      })
      .expect(200);
  const erasures = async (who = admin) =>
    (await world.call(who, 'GET', '/v1/complaints/erasures').expect(200)).body.items;
  const everything = async () => JSON.stringify(await world.rows());
  const of = async (id: string) => {
    const [acme = {}] = await world.rows();
    return Object.fromEntries(
      Object.entries(acme).map(([table, rows]) => [table, rows.filter((row) => (row.complaint_id ?? row.id) === id)]),
    );
  };
  return {
    /** Available once the suite has started. */
    world: () => world,
    disabled,
    fresh,
    moveClock,
    /** How far the clock was moved. */
    ahead: () => ahead,
    schedule,
    erase,
    run,
    files,
    fileComplaint,
    reject,
    keep,
    erasures,
    everything,
    of,
  };
}
