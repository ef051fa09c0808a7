import { Readable } from 'node:stream';
import { insert, save } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { readSeedFile } from '@countersign/service-kit';
import sharp from 'sharp';
import { z } from 'zod';
import { priorities } from '../domain/complaints/described.ts';
import { attachFile } from '../flows/attachments.ts';
import { named, newRow } from '../flows/catalogue.ts';
import { getComplaint } from '../flows/complaints/get-complaint.ts';
import { applyMove, setAssignee } from '../flows/complaints/work.ts';
import { commentOnComplaint, fileComplaint } from '../flows/complaints/write.ts';
import type { FlowParts } from '../flows/parts.ts';
import { setMembers } from '../store/catalogue.ts';
import { addWatcher } from '../store/complaints/complaints.ts';
import { dropMail } from '../store/mail.ts';
import { asUser, becomeUser, type Trx } from '../store/schema.ts';
import { type Case, cases, oldWays, otherCategories, recentWays, type Step } from './demo-complaints.ts';

const hourMs = 3_600_000;
const monthMs = 30 * 24 * hourMs;
const complaintsOfATenant = 12;
const complaintsPerPicture = 6;

// The auth-service and the users-service read the same file. This service ignores addresses and the password.
const seedFile = z.object({
  tenants: z.array(
    z.object({
      id: z.string().min(1),
      slug: z.string(),
      name: z.string(),
      members: z.array(
        z.object({ user_id: z.string().min(1), role: z.string().min(1), display_name: z.string().optional() }),
      ),
    }),
  ),
});

type SeededTenant = z.infer<typeof seedFile>['tenants'][number];

export const readSeed = (path: string): readonly SeededTenant[] => readSeedFile(path, seedFile).tenants;

/** Adds a catalogue and a month of complaints to demo tenants that have no complaints. They are always the same. */
export async function seed(parts: FlowParts, tenants: readonly SeededTenant[]): Promise<void> {
  for (const tenant of tenants) await seedTenant(parts, tenant);
}

async function seedTenant(parts: FlowParts, tenant: SeededTenant): Promise<void> {
  const { id: tenantId, slug, name, members } = tenant;
  const ofRole = (wanted: string) =>
    members
      .filter(({ role }) => role === wanted)
      .map(({ user_id: userId, role }): UserIdentity => {
        return { kind: 'user', requestId: 'seed', context: {}, tenantId, userId, role };
      });
  const names = new Map(members.map(({ user_id, display_name = '' }) => [user_id, display_name]));
  const [complainants, agents, admins] = [ofRole('complainant'), ofRole('agent'), ofRole('admin')];
  const [admin] = admins;
  if (admin === undefined) return;
  const filed = await asUser(parts.db, admin, async (trx) => {
    await save(trx, 'organizations', 'tenant_id', { tenant_id: tenantId, short_name: slug, name });
    const isFilled = (await trx.selectFrom('complaints').select('id').limit(1).execute()).length > 0;
    if (isFilled) return [];
    await seedCatalogue(trx, parts, { tenantId, agents });
    const complaints: Filed[] = [];
    for (let index = 0; index < complaintsOfATenant; index += 1) {
      const [complainant, agent] = [complainants, agents].map((all) => all[index % all.length]);
      if (complainant === undefined || agent === undefined) break;
      complaints.push(await seedComplaint(trx, parts, { complainant, agent, index, names }));
    }
    await dropMail(trx);
    return complaints;
  });
  for (const { id, filedAt, complainant } of filed.filter((_, index) => index % complaintsPerPicture === 0)) {
    const body = Readable.from([await drawnPicture()]);
    const upload = { complaintId: id, name: 'photo.png', body, signal: new AbortController().signal };
    await attachFile({ ...parts, now: () => filedAt }, complainant, upload, (added) => added);
  }
}

async function seedCatalogue(
  trx: Trx,
  { newId, now }: FlowParts,
  { tenantId, agents }: Readonly<{ tenantId: string; agents: readonly UserIdentity[] }>,
): Promise<void> {
  const at = new Date(now().getTime() - monthMs);
  const newNamed = (name: string) => ({ ...newRow({ newId, now: () => at }, tenantId), ...named(name) });
  const team = newNamed('Operations');
  await insert(trx, 'teams', team);
  const memberIds = agents.map(({ userId }) => userId);
  await setMembers(trx, { tenantId, teamId: team.id }, memberIds);
  for (const { category, covers, firstAnswerHours, resolutionHours } of cases) {
    const targets = { first_answer_minutes: firstAnswerHours * 60, resolution_minutes: resolutionHours * 60 };
    await insert(trx, 'categories', { ...newNamed(category), description: covers, team_id: team.id, ...targets });
  }
  await insert(trx, 'categories', otherCategories.map(newNamed));
}

type People = Readonly<{ complainant: UserIdentity; agent: UserIdentity }>;
type Filed = Readonly<{ id: string; filedAt: Date; complainant: UserIdentity }>;

/** Files a complaint and does its steps as the service does, until `now`. */
async function seedComplaint(
  trx: Trx,
  parts: FlowParts,
  { complainant, agent, index, names }: People & Readonly<{ index: number; names: ReadonlyMap<string, string> }>,
): Promise<Filed> {
  const age = 1 - (index + 0.5) / complaintsOfATenant;
  const filedAt = new Date(parts.now().getTime() - Math.round(age * monthMs));
  const about = cases[index % cases.length] as Case;
  const { title, description, category } = about;
  const ways = age > 0.5 ? oldWays : recentWays;
  const filer = index % 5 === 4 ? agent : complainant;
  await becomeUser(trx, filer);
  const filing = {
    title,
    description,
    category,
    location: { latitude: 48.2 + index / 1_000, longitude: 16.35 + age / 50, address: `Mill Lane ${2 * index + 1}` },
    contact_preference: 'email' as const,
    complainant_id: complainant.userId,
    priority: priorities[(index + 1) % priorities.length],
  };
  const { id } = await fileComplaint(trx, { ...parts, now: () => filedAt }, filer, filing, names);
  let at = filedAt;
  for (const [done, step] of ways[index % ways.length]?.entries() ?? []) {
    at = new Date(at.getTime() + (2 + 5 * done) * hourMs);
    if (at > parts.now()) break;
    const then = { ...parts, now: () => at };
    const actor = ['reply', 'withdrawn', 'reopened'].includes(step) ? complainant : agent;
    await becomeUser(trx, actor);
    await doStep(trx, then, { id, step, actor, about });
  }
  return { id, filedAt, complainant };
}

async function doStep(
  trx: Trx,
  parts: FlowParts,
  { id, step, actor, about }: Readonly<{ id: string; step: Step; actor: UserIdentity; about: Case }>,
): Promise<void> {
  const current = await getComplaint(trx, id, 'change');
  if (step === 'answer' || step === 'reply' || step === 'note') {
    await commentOnComplaint(trx, parts, actor, { id, body: about[step], internal: step === 'note' });
  } else if (step === 'assigned') {
    await addWatcher(trx, current, actor.userId, parts.now());
    await setAssignee(trx, parts, current, { assigneeId: actor.userId, actor, at: parts.now() });
  } else {
    const reasons = {
      resolved: about.done,
      rejected: about.rejected,
      withdrawn: 'It works again.',
      reopened: 'It only helped for a day.',
    };
    await applyMove(trx, parts, { current, actor, to: step, reason: reasons[step as keyof typeof reasons] });
  }
}

/** Pixels in random colors. */
function drawnPicture(): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return sharp({ create: { width: 320, height: 320, channels: 3, background: 'black', noise } })
    .png()
    .toBuffer();
}
