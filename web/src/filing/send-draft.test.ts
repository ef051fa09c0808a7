import { describe, expect, test } from '@jest/globals';
import { Failure } from '../failure.ts';
import { bodyOf, type Draft, draftsIn, emptyDraft } from './draft.ts';
import type { Photo } from './photo-store.ts';
import { sendDraft } from './send-draft.ts';

const offline = new TypeError('Failed to fetch');

/** A server that supports Idempotency-Keys, and a network that loses the requests or responses that a test names. */
class Line {
  readonly complaints = new Map<string, string>();
  readonly photos = new Set<string>();
  draft: Draft = { ...emptyDraft('key-1'), title: 'Dark street', description: 'No light.', category: 'Lighting' };
  left: Photo[] = ['p1', 'p2'].map((id) => ({ id, draft: 'key-1', addedAtMs: 0, file: new File(['x'], `${id}.jpg`) }));
  /** The losses in order. Later requests succeed. */
  readonly losses: ('request' | 'answer' | Failure)[];

  constructor(...losses: Line['losses']) {
    this.losses = losses;
  }

  send = () =>
    sendDraft(this.draft, this.left, {
      file: (draft) =>
        this.#cross(() => this.complaints.set(draft.key, JSON.stringify(bodyOf(draft)))).then(() => 'c1'),
      attach: (_id, photo) => this.#cross(() => this.photos.add(photo.id)),
      keep: (change) => {
        this.draft = { ...this.draft, ...change };
      },
      finish: (photo) => {
        this.left = this.left.filter(({ id }) => id !== photo.id);
      },
    });

  async #cross(arrive: () => unknown): Promise<void> {
    const loss = this.losses.shift();
    if (loss instanceof Failure) throw loss;
    if (loss === 'request') throw offline;
    arrive();
    if (loss === 'answer') throw offline;
  }
}

test.each(['request', 'answer'] as const)(
  'files a complaint once when it is sent again after a lost %s',
  async (loss) => {
    const line = new Line(loss);
    await expect(line.send()).rejects.toBe(offline);
    expect(line.draft).toMatchObject({ sent: true, title: 'Dark street' });
    expect(await line.send()).toEqual({ id: 'c1', refused: [] });
    expect([...line.complaints.keys()]).toEqual(['key-1']);
    expect([...line.photos]).toEqual(['p1', 'p2']);
  },
);

test.each(['request', 'answer'] as const)('sends only the second photo again after its lost %s', async (loss) => {
  const line = new Line(undefined as never, undefined as never, loss);
  await expect(line.send()).rejects.toBe(offline);
  expect(line.draft.complaintId).toBe('c1');
  expect(line.left.map(({ id }) => id)).toEqual(['p2']);
  await line.send();
  expect(line.complaints.size).toBe(1);
  expect([...line.photos]).toEqual(['p1', 'p2']);
});

test('a refused complaint can be changed and then filed', async () => {
  const line = new Line(new Failure('unknown_category', 422));
  await expect(line.send()).rejects.toMatchObject({ code: 'unknown_category' });
  expect(line.draft.sent).toBe(false);
  line.draft = { ...line.draft, category: 'Roads' };
  await line.send();
  expect([...line.complaints.values()].map((text) => JSON.parse(text).category)).toEqual(['Roads']);
});

test.each([
  ['internal_error', 500],
  ['rate_limited', 429],
  ['token_expired', 401],
])('after %s, the text cannot change, because an earlier request may have arrived', async (code, status) => {
  const line = new Line('answer', new Failure(code, status));
  await expect(line.send()).rejects.toBe(offline);
  await expect(line.send()).rejects.toMatchObject({ code });
  expect(line.draft.sent).toBe(true);
  await line.send();
  expect(line.complaints.size).toBe(1);
});

test('reports a refused photo, and attaches the others', async () => {
  const line = new Line(undefined as never, new Failure('unreadable_image', 422));
  expect(await line.send()).toEqual({ id: 'c1', refused: [{ name: 'p1.jpg', code: 'unreadable_image' }] });
  expect([...line.photos]).toEqual(['p2']);
});

describe('drafts', () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, text: string) => void kept.set(name, text),
    removeItem: (name: string) => void kept.delete(name),
  };
  const drafts = draftsIn(storage, () => 'new-key');

  test('drafts belong to one user, and keep their key until they are removed', () => {
    drafts.write('u1', { ...drafts.read('u1'), title: 'Mine' });
    expect(drafts.read('u1')).toMatchObject({ key: 'new-key', title: 'Mine' });
    expect(drafts.read('u2').title).toBe('');
    drafts.remove('u1');
    expect(drafts.read('u1').title).toBe('');
  });

  test.each([
    [{ address: ' Mill Lane 3 ' }, { address: 'Mill Lane 3' }],
    [{ point: { latitude: 48.2, longitude: 16.4 } }, { latitude: 48.2, longitude: 16.4 }],
    [{ address: '  ' }, undefined],
  ])('sends %j as the location %j', (place, location) => {
    expect(bodyOf({ ...emptyDraft('k'), ...place })).toEqual({
      title: '',
      description: '',
      category: '',
      ...(location !== undefined && { location }),
    });
  });
});
