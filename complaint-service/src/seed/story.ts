import {
  answeredBy,
  type Clocks,
  clocksAfterMove,
  dueTimes,
  type ServiceLevelTargets,
} from '../domain/complaints/service-level.ts';
import { afterAssigning, type Status } from '../domain/complaints/workflow.ts';
import { type Measured, timesEnded } from '../domain/statistics/rollups.ts';
import type { HistoryEvent, NewComplaint } from '../store/schema/complaints.ts';
import type { Random } from './random.ts';
import { type Case, reasons, streets, type Topic } from './texts.ts';

export type Actor = Readonly<{ userId: string; role: string }>;
export type Cast = Readonly<{ complainants: readonly Actor[]; agents: readonly Actor[]; admins: readonly Actor[] }>;
type Said = Readonly<{ at: Date; actor: Actor; body: string; internal: boolean }>;
type Happened = Readonly<{ at: Date; actor: Actor; event: HistoryEvent }>;
type Row = NewComplaint & Clocks;

/** One complaint with its history. */
export type Story = { row: Row; filedBy: Actor; history: Happened[]; comments: Said[]; times: Measured[]; about: Case };

export type Setting = Readonly<{
  tenantId: string;
  cast: Cast;
  topic: Topic;
  category: ServiceLevelTargets & Readonly<{ id: string; teamId: string }>;
  filedAt: Date;
  now: Date;
}>;

const hourMs = 3_600_000;

const recentMs = 8 * 24 * hourMs;

/** A text about a complaint, and whether staff or the complainant wrote it. */
const says = ['answer', 'reply', 'note', 'done'] as const;
type Says = (typeof says)[number];
const isSaid = (step: Status | Says): step is Says => (says as readonly string[]).includes(step);

/** Paths through the workflow and their weights, for old and for recent complaints. */
const ways: readonly Readonly<{ steps: readonly (Status | Says)[]; old: number; recent: number }>[] = [
  { steps: [], old: 1, recent: 30 },
  { steps: ['assigned', 'answer'], old: 3, recent: 20 },
  { steps: ['answer', 'assigned', 'note', 'in_progress', 'reply'], old: 9, recent: 25 },
  { steps: ['answer', 'reply', 'assigned', 'in_progress', 'note', 'done', 'resolved'], old: 12, recent: 15 },
  { steps: ['answer', 'assigned', 'in_progress', 'reply', 'done', 'resolved', 'closed'], old: 45, recent: 3 },
  {
    steps: ['assigned', 'answer', 'in_progress', 'resolved', 'reopened', 'reply', 'in_progress', 'done', 'resolved'],
    old: 12,
    recent: 2,
  },
  { steps: ['rejected'], old: 9, recent: 3 },
  { steps: ['withdrawn'], old: 6, recent: 2 },
];

/** Generates one complaint and its history, without steps in the future. */
export function makeStory(random: Random, setting: Setting): Story {
  const { cast, filedAt, now } = setting;
  const story = fileOne(random, setting);
  const agent = random.pick(cast.agents);
  const isOld = now.getTime() - filedAt.getTime() > recentMs;
  const way = ways[random.weighted(ways.map((each) => (isOld ? each.old : each.recent)))];
  let at = filedAt;
  for (const step of way?.steps ?? []) {
    at = new Date(at.getTime() + Math.round((0.3 + 60 * random.next() ** 3) * hourMs));
    if (at > now) break;
    if (isSaid(step)) say(random, story, { at, agent, what: step });
    else if (step === 'assigned') assign(story, { at, actor: random.pick([agent, ...cast.admins]), agent });
    else move(random, story, { at, to: step, agent, setting });
  }
  return story;
}

function fileOne(random: Random, { tenantId, cast, topic, category, filedAt }: Setting): Story {
  const complainant = random.pick(cast.complainants);
  const isCall = random.next() < 0.2;
  const filedBy = isCall ? random.pick(cast.agents) : complainant;
  const clocks = { created_at: filedAt, clock_started_at: filedAt };
  const about = random.pick(topic.cases);
  const row: Row = {
    tenant_id: tenantId,
    id: random.id(filedAt),
    title: about.title,
    description: about.description,
    category_id: category.id,
    team_id: category.teamId,
    status: 'open',
    priority: random.weighted([1, 6, 2, 1]),
    complainant_id: complainant.userId,
    created_by: filedBy.userId,
    contact_preference: random.pick(['email', 'email', 'phone', 'none']),
    latitude: 48.2 + random.next() / 50,
    longitude: 16.35 + random.next() / 50,
    address: `${random.pick(streets)} ${1 + Math.floor(random.next() * 80)}`,
    ...clocks,
    ...dueTimes(category, clocks),
    first_answered_at: null,
    resolved_at: null,
    revision: random.id(filedAt),
    updated_at: filedAt,
  };
  const filed = { at: filedAt, actor: filedBy, event: { action: 'filed', detail: {} } } as const;
  return { row, filedBy, history: [filed], comments: [], times: [], about };
}

type Step = Readonly<{ at: Date; agent: Actor }>;

function say(random: Random, story: Story, { at, agent, what }: Step & Readonly<{ what: Says }>): void {
  const { row, comments, about } = story;
  const actor = what === 'reply' ? { userId: row.complainant_id ?? agent.userId, role: 'complainant' } : agent;
  comments.push({ at, actor, body: about[what], internal: what === 'note' });
  if (what === 'answer' || what === 'done') change(random, story, at, answeredBy(row, at));
}

function assign(story: Story, { at, actor, agent }: Step & Readonly<{ actor: Actor }>): void {
  const { row, history } = story;
  const status = afterAssigning(row.status);
  const detail = { from: null, to: agent.userId, status: { from: row.status, to: status } };
  history.push({ at, actor, event: { action: 'assigned', detail } });
  Object.assign(row, { status, assignee_id: agent.userId, updated_at: at });
}

function move(
  random: Random,
  story: Story,
  { at, to, agent, setting: { topic, category } }: Step & Readonly<{ to: Status; setting: Setting }>,
): void {
  const { row, history } = story;
  const byComplainant = to === 'withdrawn' || to === 'reopened' || (to === 'closed' && random.next() < 0.4);
  const actor = byComplainant ? { userId: row.complainant_id ?? agent.userId, role: 'complainant' } : agent;
  const why = to === 'rejected' ? topic.rejected : reasonFor(random, to);
  const detail = { from: row.status, to, ...(why !== undefined && { reason: why }) };
  history.push({ at, actor, event: { action: 'moved', detail } });
  change(random, story, at, { status: to, ...clocksAfterMove(row, to, at, category) });
}

const reasonFor = (random: Random, to: Status): string | undefined =>
  to in reasons ? random.pick(reasons[to as keyof typeof reasons]) : undefined;

/** Changes the complaint, and counts the response times that this change completes. */
function change(random: Random, story: Story, at: Date, changes: Partial<Row>): void {
  const before = { ...story.row };
  Object.assign(story.row, changes, { updated_at: at, revision: random.id(at) });
  story.times.push(...timesEnded(before, story.row));
}
