import { readdir } from 'node:fs/promises';
import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, admin } = people;

describe.each(databases())('a UUID in upper case on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());
  const post = (who: typeof agent, path: string, body: unknown = {}) => world.call(who, 'POST', path, { body });
  const file = async (who = complainant, category = 'light') => {
    const body = { title: 'Lamp', description: 'Dark', category };
    return (await post(who, '/v1/complaints', body).expect(201)).body;
  };

  test.each(['', '/comments', '/history', '/attachments', '/watchers'])(
    'reads the same complaint at /v1/complaints/:id%s',
    async (path) => {
      const { id } = await file();
      const lower = await world.call(agent, 'GET', `/v1/complaints/${id}${path}`).expect(200);
      const upper = await world.call(agent, 'GET', `/v1/complaints/${id.toUpperCase()}${path}`).expect(200);
      expect(upper.body).toEqual(lower.body);
    },
  );

  test('names the same original of a duplicate', async () => {
    const [original, copy] = [await file(neighbour), await file()];
    const move = { to: 'duplicate', reason: 'The same', duplicate_of: original.id.toUpperCase() };
    const { body } = await post(agent, `/v1/complaints/${copy.id.toUpperCase()}/transition`, move).expect(200);
    expect(body).toMatchObject({ id: copy.id, duplicate_of: original.id });
    const self = await file();
    const refused = await post(agent, `/v1/complaints/${self.id}/transition`, {
      ...move,
      duplicate_of: self.id.toUpperCase(),
    }).expect(422);
    expect(refused.body.errors).toEqual([{ path: 'duplicate_of', message: 'is this complaint' }]);
  });

  test('repeats a comment with the same Idempotency-Key', async () => {
    const { id } = await file();
    const comment = (path: string) =>
      world
        .call(complainant, 'POST', `/v1/complaints/${path}/comments`, {
          body: { body: 'Still dark' },
          headers: { 'idempotency-key': 'repeated' },
        })
        .expect(201);
    expect((await comment(id.toUpperCase())).body).toEqual((await comment(id)).body);
  });

  test('attaches, finds and removes the same file', async () => {
    const { id } = await file();
    const ID = id.toUpperCase();
    const upload = { upload: Buffer.from('Words'), contentType: 'text/plain' };
    const comment = (await post(complainant, `/v1/complaints/${ID}/comments`, { body: 'See the file' }).expect(201))
      .body;
    const { body, headers } = await world
      .call(complainant, 'POST', `/v1/complaints/${ID}/attachments?comment_id=${comment.id.toUpperCase()}`, upload)
      .expect(201);
    expect(headers.location).toBe(`/v1/complaints/${id}/attachments/${body.id}`);
    expect(body).toMatchObject({ complaint_id: id, comment_id: comment.id });
    const place = `/v1/complaints/${ID}/attachments/${body.id.toUpperCase()}`;
    const { text } = await world.call(agent, 'GET', place).expect(200);
    expect(text).toBe('Words');
    await world.call(agent, 'DELETE', place).expect(204);
    const stored = await readdir(world.attachments, { recursive: true, withFileTypes: true });
    expect(stored.filter((entry) => entry.isFile())).toEqual([]);
  });

  test('names the same category, team or webhook', async () => {
    const team = (await post(admin, '/v1/teams', { name: 'Lights' }).expect(201)).body;
    const wanted = { name: 'Street lights', team_id: team.id.toUpperCase() };
    const category = (await post(admin, '/v1/categories', wanted).expect(201)).body;
    expect(category.team_id).toBe(team.id);
    const filed = await file(complainant, category.id.toUpperCase());
    expect(filed).toMatchObject({ category: 'Street lights', category_id: category.id, team_id: team.id });
    for (const filter of [`category=${category.id.toUpperCase()}`, `team=${team.id.toUpperCase()}`]) {
      const { body } = await world.call(agent, 'GET', `/v1/complaints?${filter}`).expect(200);
      expect(body.items.map(({ id }: { id: string }) => id)).toEqual([filed.id]);
    }
    // It is already assigned, so nothing changes.
    const { body: seen } = await world.call(agent, 'GET', `/v1/complaints/${filed.id}`).expect(200);
    const given = await post(agent, `/v1/complaints/${filed.id}/assign`, { team_id: wanted.team_id }).expect(200);
    expect(given.body).toEqual(seen);
    const hook = { url: 'https://hooks.example/', events: ['complaint.filed'] };
    const { id } = (await post(admin, '/v1/webhooks', hook).expect(201)).body;
    await world.call(admin, 'DELETE', `/v1/webhooks/${id.toUpperCase()}`).expect(204);
  });
});
