import { foldName } from '../domain/catalogue/category-name.ts';
import { searchedText } from '../domain/complaints/editing.ts';
import { termsOf } from '../domain/search/terms.ts';
import { countDeltas } from '../domain/statistics/rollups.ts';
import { asUser, becomeUser, type ComplaintsDatabase, type Trx } from '../store/scope.ts';
import { addToStatistics } from '../store/statistics/statistics.ts';
import { createRandom, type Random } from './random.ts';
import { type Actor, type Cast, makeStory, type Story } from './story.ts';
import { quietCategories, type Topic, topics } from './texts.ts';

export type SeededTenant = Readonly<{ id: string; members: readonly Readonly<{ user_id: string; role: string }>[] }>;

const monthMs = 30 * 24 * 3_600_000;

/**
 * Fills the catalogue and a month of complaints of a tenant that has none. The same seed creates the same complaints,
 * at the same intervals before `now`.
 *
 * @returns The complaints with their history. None if the tenant already has complaints, or lacks people of a role.
 */
export async function seedTenant(
  db: ComplaintsDatabase,
  { id: tenantId, members }: SeededTenant,
  { now, seed, complaints }: Readonly<{ now: Date; seed: number; complaints: number }>,
): Promise<readonly Story[]> {
  const ofRole = (role: string): Actor[] =>
    members.filter((member) => member.role === role).map((member) => ({ userId: member.user_id, role }));
  const cast = { complainants: ofRole('complainant'), agents: ofRole('agent'), admins: ofRole('admin') };
  const [admin] = cast.admins;
  if (admin === undefined || cast.agents.length === 0 || cast.complainants.length === 0) return [];
  const random = createRandom(seed);
  return asUser(db, { tenantId, ...admin }, async (trx) => {
    if ((await trx.selectFrom('complaints').select('id').limit(1).execute()).length > 0) return [];
    const categories = await seedCatalogue(trx, random, { tenantId, cast, at: new Date(now.getTime() - monthMs) });
    const stories = Array.from({ length: complaints }, (_, index) => {
      const filedAt = new Date(now.getTime() - Math.round(monthMs * (1 - (index + random.next()) / complaints)));
      const { topic, ...category } = random.pick(categories);
      return makeStory(random, { tenantId, cast, topic, category, filedAt, now });
    });
    await insertStories(trx, random, stories);
    return stories;
  });
}

async function seedCatalogue(
  trx: Trx,
  random: Random,
  { tenantId, cast, at }: Readonly<{ tenantId: string; cast: Cast; at: Date }>,
) {
  const teamId = random.id(at);
  const written = { created_at: at, updated_at: at };
  const named = (name: string) => ({ tenant_id: tenantId, name, name_key: foldName(name), ...written });
  await trx
    .insertInto('teams')
    .values({ id: teamId, revision: random.id(at), ...named('Operations') })
    .execute();
  const inTeam = cast.agents.map(({ userId }) => ({ tenant_id: tenantId, team_id: teamId, user_id: userId }));
  await trx.insertInto('team_members').values(inTeam).execute();
  const categories = topics.map((topic: Topic) => ({
    topic,
    id: random.id(at),
    teamId,
    first_answer_minutes: topic.firstAnswerHours * 60,
    resolution_minutes: topic.resolutionHours * 60,
  }));
  await trx
    .insertInto('categories')
    .values(
      categories.map(({ topic, teamId: team_id, ...category }) => ({
        ...category,
        ...named(topic.category),
        team_id,
        description: topic.description,
        revision: random.id(at),
      })),
    )
    .execute();
  await trx
    .insertInto('categories')
    .values(quietCategories.map((name) => ({ id: random.id(at), revision: random.id(at), ...named(name) })))
    .execute();
  return categories;
}

/**
 * Writes the rows as their authors, as the policies require. Entries of one complaint are numbered as they are
 * inserted, so each step inserts one entry of every complaint.
 */
async function insertStories(trx: Trx, random: Random, stories: readonly Story[]): Promise<void> {
  await byActor(
    trx,
    stories.map((story) => [story.filedBy, story.row] as const),
    (rows) => trx.insertInto('complaints').values(rows).execute(),
  );
  const steps = Math.max(...stories.map(({ history, comments }) => Math.max(history.length, comments.length)));
  for (let step = 0; step < steps; step += 1) {
    const happened = stories.flatMap(({ row, history }) =>
      history.slice(step, step + 1).map(({ at, actor, event: { action, detail } }) => {
        const acted = { actor_id: actor.userId, actor_role: actor.role, action, detail: JSON.stringify(detail) };
        return [actor, { ...entryOf(random, row, at), ...acted }] as const;
      }),
    );
    await byActor(trx, happened, (rows) => trx.insertInto('history').values(rows).execute());
    const said = stories.flatMap(({ row, comments }) =>
      comments.slice(step, step + 1).map(({ at, actor, body, internal }) => {
        const written = { author_id: actor.userId, author_role: actor.role, body, internal };
        return [actor, { ...entryOf(random, row, at), ...written }] as const;
      }),
    );
    await byActor(trx, said, (rows) => trx.insertInto('comments').values(rows).execute());
  }
  await insertDerived(trx, stories);
}

const entryOf = (random: Random, row: Story['row'], at: Date) => ({
  tenant_id: row.tenant_id,
  id: random.id(at),
  complaint_id: row.id,
  created_at: at,
});

/** Inserts each actor's rows as that actor. */
async function byActor<Row>(
  trx: Trx,
  rows: readonly (readonly [Actor, Row])[],
  insert: (rows: Row[]) => Promise<unknown>,
): Promise<void> {
  for (const [userId, entries] of Map.groupBy(rows, ([actor]) => actor.userId)) {
    const role = entries[0]?.[0].role ?? '';
    await becomeUser(trx, { userId, role });
    await insert(entries.map(([, row]) => row));
  }
}

/** Writes search terms, watchers and statistics, as the last staff member. */
async function insertDerived(trx: Trx, stories: readonly Story[]): Promise<void> {
  const staff = stories
    .flatMap(({ history }) => history.map(({ actor }) => actor))
    .find(({ role }) => role !== 'complainant');
  if (staff !== undefined) await becomeUser(trx, staff);
  const terms = stories.flatMap(({ row }) =>
    termsOf(searchedText(row)).map((term) => ({ tenant_id: row.tenant_id, term, complaint_id: row.id })),
  );
  for (let from = 0; from < terms.length; from += 2_000) {
    await trx
      .insertInto('terms')
      .values(terms.slice(from, from + 2_000))
      .execute();
  }
  const watchers = stories.flatMap(({ row }) =>
    [...new Set([row.complainant_id, row.assignee_id])]
      .filter((userId) => typeof userId === 'string')
      .map((user_id) => ({ tenant_id: row.tenant_id, complaint_id: row.id, user_id, created_at: row.created_at })),
  );
  await trx.insertInto('watchers').values(watchers).execute();
  for (const { row, times } of stories) {
    await addToStatistics(trx, row.tenant_id, { ...countDeltas(undefined, row), times });
  }
}
