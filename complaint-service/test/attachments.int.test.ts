import { readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { maxAttachments } from '../src/domain/attachments/file-types.ts';
import { attachFile, sweepFiles } from '../src/flows/attachments.ts';
import { attachmentSpace, complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, secondAgent, admin, stranger, strangerComplainant } = people;
const never = new AbortController().signal;

describe.each(databases())('attachments on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let photo: Buffer;
  beforeAll(async () => {
    world = await complaintsWorld(database);
    const red = { create: { width: 30, height: 20, channels: 3, background: 'red' } } as const;
    photo = await sharp(red)
      .withExif({ IFD0: { Copyright: 'Nosy Camera' } })
      .jpeg()
      .toBuffer();
  });
  afterAll(() => world.close());

  async function fileComplaint(): Promise<string> {
    const body = { title: 'Lamp', description: 'Dark', category: 'light' };
    return (await world.call(complainant, 'POST', '/v1/complaints', { body }).expect(201)).body.id;
  }
  const comment = async (who: typeof agent, id: string, internal: boolean): Promise<string> =>
    (await world.call(who, 'POST', `/v1/complaints/${id}/comments`, { body: { body: 'See', internal } }).expect(201))
      .body.id;
  type Options = Readonly<{ name?: string; commentId?: string; contentType?: string; key?: string }>;
  function upload(who: typeof agent, id: string, file: Buffer, options: Options = {}) {
    const { name = 'a.jpg', commentId, contentType = 'application/octet-stream', key } = options;
    const query = new URLSearchParams({ name, ...(commentId !== undefined && { comment_id: commentId }) });
    const headers = key === undefined ? {} : { 'idempotency-key': key };
    return world.call(who, 'POST', `/v1/complaints/${id}/attachments?${query}`, { upload: file, contentType, headers });
  }
  const files = async () =>
    (await readdir(world.attachments, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
      .length;

  test('a photo is stored without metadata, listed, and sent with safe headers', async () => {
    const id = await fileComplaint();
    const { body, headers } = await upload(complainant, id, photo, { name: '..\\Lampe kaputt €.exe\r\nx' }).expect(201);
    expect(body).toMatchObject({
      complaint_id: id,
      comment_id: null,
      uploader_id: complainant.userId,
      width: 30,
      height: 20,
    });
    expect(body).toMatchObject({ media_type: 'image/jpeg', name: 'Lampe kaputt €.jpg', internal: false });
    expect(headers.location).toBe(`/v1/complaints/${id}/attachments/${body.id}`);
    const list = await world.call(agent, 'GET', `/v1/complaints/${id}/attachments`).expect(200);
    expect(list.body).toEqual({ items: [body] });
    const file = await world.call(agent, 'GET', headers.location ?? '').expect(200);
    expect(file.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(body.bytes),
      'content-disposition':
        'attachment; filename="Lampe kaputt ?.jpg"; filename*=UTF-8\'\'Lampe%20kaputt%20%E2%82%AC.jpg',
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'private, no-cache',
    });
    expect(file.body).toHaveLength(body.bytes);
    expect(file.body.includes('Nosy Camera')).toBe(false);
    const shown = await world.call(agent, 'GET', `${headers.location}?disposition=inline`).expect(200);
    expect(shown.headers['content-disposition']).toMatch(/^inline/);
    await world
      .call(agent, 'GET', headers.location ?? '', { headers: { 'if-none-match': file.headers.etag ?? '' } })
      .expect(304);
  });

  test('a document is always sent as a download', async () => {
    const id = await fileComplaint();
    const { headers } = await upload(complainant, id, Buffer.from('It hums.'), {
      name: 'x.html',
      contentType: 'text/plain',
    }).expect(201);
    const file = await world.call(agent, 'GET', `${headers.location}?disposition=inline`).expect(200);
    expect(file.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': 'attachment; filename=x.txt',
    });
  });

  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
  test.each<[string, () => Buffer, string, number, string]>([
    ['an SVG that claims to be a PNG', () => svg, 'image/png', 415, 'unsupported_file_type'],
    ['HTML', () => Buffer.from('<html><script>1</script>'), 'text/plain', 415, 'unsupported_file_type'],
    [
      'a ZIP archive',
      () => Buffer.from('PK\x03\x04\x14\0\0\0\x08\0'),
      'application/octet-stream',
      415,
      'unsupported_file_type',
    ],
    ['a truncated photo', () => photo.subarray(0, 200), 'image/jpeg', 422, 'unreadable_image'],
    ['JSON', () => Buffer.from('{}'), 'application/json', 415, 'unsupported_media_type'],
    ['a file that is too large', () => Buffer.alloc(15 * 1024 * 1024 + 1, 'a'), 'text/plain', 413, 'payload_too_large'],
  ])('%s is refused, and leaves neither row nor file', async (_what, make, contentType, status, code) => {
    const id = await fileComplaint();
    const [rows, stored] = [await world.rows(), await files()];
    const { body } = await upload(complainant, id, make(), { contentType }).expect(status);
    expect(body.code).toBe(code);
    expect(await world.rows()).toEqual(rows);
    expect(await files()).toBe(stored);
  });

  test('an attachment of an internal note is invisible to complainants', async () => {
    const id = await fileComplaint();
    const note = await comment(agent, id, true);
    const added = await upload(agent, id, photo, { commentId: note }).expect(201);
    expect(added.body).toMatchObject({ comment_id: note, internal: true });
    const seen = await world.call(complainant, 'GET', `/v1/complaints/${id}/attachments`).expect(200);
    expect(seen.body).toEqual({ items: [] });
    const at = added.headers.location ?? '';
    await world.call(complainant, 'GET', at).expect(404);
    await world.call(complainant, 'DELETE', at).expect(404);
    await world.call(admin, 'GET', at).expect(200);
    const taken = await upload(complainant, id, photo, { commentId: note }).expect(422);
    expect(taken.body.code).toBe('unknown_comment');
    await upload(admin, id, photo, { commentId: note }).expect(422);
  });

  test.each([
    ['another complainant', neighbour],
    ['an admin of another tenant', stranger],
    ['the same person in another tenant', strangerComplainant],
  ])('%s gets 404 for everything, before the body is read', async (_who, who) => {
    const id = await fileComplaint();
    const { headers } = await upload(complainant, id, photo).expect(201);
    const before = await world.rows();
    const at = headers.location ?? '';
    const list = `/v1/complaints/${id}/attachments`;
    for (const [method, target] of [
      ['GET', at],
      ['DELETE', at],
      ['GET', list],
    ] as const) {
      await world.call(who, method, target).expect(404);
    }
    await upload(who, id, Buffer.from('PK\x03\x04')).expect(404);
    expect(await world.rows()).toEqual(before);
    // The attachment, under another complaint's path.
    const other = await fileComplaint();
    await world.call(complainant, 'GET', at.replace(id, other)).expect(404);
  });

  test('a lost file has its own error code, is logged as our fault, and its attachment can be removed', async () => {
    const id = await fileComplaint();
    const { body, headers } = await upload(complainant, id, photo).expect(201);
    const path = headers.location ?? '';
    await world.files.remove(body.id);
    const { body: problem } = await world.call(complainant, 'GET', path).expect(410);
    expect(problem.code).toBe('attachment_lost');
    const line = world.log.lines().find(({ request_id: of }) => of === problem.request_id);
    expect(line).toMatchObject({ level: 50, code: 'attachment_lost', fault: 'ours', path });
    await world.call(complainant, 'DELETE', path).expect(204);
    await world.call(complainant, 'GET', path).expect(404);
  });

  test('a complainant can remove only their own uploads, and the file is deleted too', async () => {
    const id = await fileComplaint();
    const own = (await upload(complainant, id, photo).expect(201)).headers.location ?? '';
    const agents = (await upload(agent, id, photo).expect(201)).headers.location ?? '';
    const before = await files();
    const refused = await world.call(complainant, 'DELETE', agents).expect(403);
    expect(refused.body.code).toBe('insufficient_role');
    await world.call(complainant, 'DELETE', own).expect(204);
    await world.call(complainant, 'GET', own).expect(404);
    await world.call(agent, 'DELETE', agents).expect(204);
    expect(await files()).toBe(before - 2);
  });

  test('a complaint can have up to 30 attachments', async () => {
    const id = await fileComplaint();
    for (let at = 0; at < maxAttachments; at += 1) await upload(complainant, id, Buffer.from('x')).expect(201);
    const stored = await files();
    expect((await upload(complainant, id, Buffer.from('x')).expect(409)).body.code).toBe('too_many_attachments');
    expect(await files()).toBe(stored);
  });

  describe('with an Idempotency-Key', () => {
    const stored = async () => ({ rows: await world.rows(), files: await files() });

    test('the same file again gets the first response, and is stored once', async () => {
      const id = await fileComplaint();
      const first = await upload(complainant, id, photo, { key: 'a-1' }).expect(201);
      const before = await stored();
      const again = await upload(complainant, id, photo, { key: '"a-1"' }).expect(201);
      expect([again.body, again.headers.location]).toEqual([first.body, first.headers.location]);
      expect(await stored()).toEqual(before);
      await world.call(complainant, 'GET', first.headers.location ?? '').expect(200);
    });

    test('only one of several concurrent requests stores the file, and all get its response', async () => {
      const id = await fileComplaint();
      const before = await files();
      const text = Buffer.from('It hums.');
      const answers = await Promise.all([1, 2, 3].map(() => upload(complainant, id, text, { key: 'b-1' })));
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
      expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
      expect(await files()).toBe(before + 1);
    });

    test('refuses another file, name or complaint with the same key, and stores no file', async () => {
      const id = await fileComplaint();
      const other = await fileComplaint();
      await upload(complainant, id, photo, { key: 'c-1' }).expect(201);
      const before = await stored();
      for (const [place, file, name] of [
        [id, Buffer.from('It hums.'), 'a.jpg'],
        [id, photo, 'b.jpg'],
        [other, photo, 'a.jpg'],
      ] as const) {
        const { body } = await upload(complainant, place, file, { key: 'c-1', name }).expect(422);
        expect(body.code).toBe('idempotency_key_reused');
      }
      expect(await stored()).toEqual(before);
      expect((await upload(agent, id, photo, { key: 'c-1' }).expect(201)).body.uploader_id).toBe(agent.userId);
    });

    test('a refused file stores no key', async () => {
      const id = await fileComplaint();
      await upload(complainant, id, svg, { key: 'd-1' }).expect(415);
      await upload(complainant, id, photo, { key: 'd-1' }).expect(201);
    });

    test('the last upload that a complaint allows can be repeated', async () => {
      const id = await fileComplaint();
      const x = Buffer.from('x');
      for (let at = 1; at < maxAttachments; at += 1) await upload(complainant, id, x).expect(201);
      const last = await upload(complainant, id, x, { key: 'e-1' }).expect(201);
      expect((await upload(complainant, id, x, { key: 'e-1' }).expect(201)).body).toEqual(last.body);
      await upload(complainant, id, x, { key: 'e-2' }).expect(409);
    });
  });

  test('concurrent uploads never exceed a tenant’s storage, and a refused one leaves no file', async () => {
    const id = (
      await world
        .call(strangerComplainant, 'POST', '/v1/complaints', { body: { title: 'a', description: 'b', category: 'c' } })
        .expect(201)
    ).body.id;
    const half = Buffer.alloc(attachmentSpace.ofTenant / 2 + 1, 'a');
    const stored = await files();
    const answers = await Promise.all([1, 2, 3].map(() => upload(strangerComplainant, id, half)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(await files()).toBe(stored + 1);
    const at = answers.find(({ status }) => status === 201)?.headers.location ?? '';
    await world.call(strangerComplainant, 'DELETE', at).expect(204);
    await upload(strangerComplainant, id, half).expect(201);
  });

  test('a user can attach a limited number of bytes in a day, even concurrently; Retry-After says when more fit', async () => {
    const body = { title: 'a', description: 'b', category: 'c' };
    const { body: complaint } = await world.call(secondAgent, 'POST', '/v1/complaints', { body }).expect(201);
    const file = Buffer.alloc(attachmentSpace.ofUserPerDay / 2, 'a');
    const first = await upload(secondAgent, complaint.id, file).expect(201);
    world.moveClock(3_600_000);
    const stored = await files();
    const answers = await Promise.all([1, 2].map(() => upload(secondAgent, complaint.id, file)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 429]);
    expect(await files()).toBe(stored + 1);
    const small = () => upload(secondAgent, complaint.id, Buffer.from('x'));
    const refused = await small().expect(429);
    expect(refused.body.code).toBe('too_many_attached_bytes');
    const waitSec = Number(refused.headers['retry-after']);
    expect(waitSec).toBeGreaterThan(23 * 3600 - 60);
    expect(waitSec).toBeLessThanOrEqual(23 * 3600);
    await upload(agent, complaint.id, Buffer.from('x')).expect(201);
    world.moveClock(waitSec * 1000);
    await small().expect(201);
    world.moveClock(-waitSec * 1000);
    await world.call(secondAgent, 'DELETE', first.headers.location ?? '').expect(204);
    await small().expect(201);
    world.moveClock(-3_600_000);
  });

  test.each([
    ['a photo', () => photo],
    ['a document', () => Buffer.from('It hums.')],
  ])('%s is not stored if the client disconnects', async (_what, make) => {
    const complaintId = await fileComplaint();
    const [rows, stored] = [await world.rows(), await files()];
    const client = new AbortController();
    async function* body() {
      yield make();
      client.abort(new Error('closed'));
    }
    const upload = { complaintId, name: 'a', body: Readable.from(body()), signal: client.signal };
    const user = { kind: 'user', ...complainant, requestId: 'r1', context: {} } as const;
    await expect(attachFile(world.flows, user, upload, (row) => row)).rejects.toThrow('closed');
    expect(await world.rows()).toEqual(rows);
    expect(await files()).toBe(stored);
  });

  test('the sweep removes old files that have no row, and no others', async () => {
    const id = await fileComplaint();
    const { headers } = await upload(complainant, id, photo).expect(201);
    const orphan = await world.files.receive(Readable.from([Buffer.from('x')]), 10, { ...complainant, signal: never });
    await orphan.keepAs('0197c2a0-0000-7000-8000-00000000dead');
    const before = await files();
    const parts = (laterMs: number) => ({
      db: world.db,
      files: world.files,
      now: () => new Date(Date.now() + laterMs),
    });
    expect(await sweepFiles(parts(0), never)).toBe(0);
    expect(await sweepFiles(parts(7 * 3600_000), never)).toBe(1);
    expect(await files()).toBe(before - 1);
    await world.call(complainant, 'GET', headers.location ?? '').expect(200);
  });
});
