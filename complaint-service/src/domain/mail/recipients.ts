import { isStaff } from '../access.ts';
import type { ContactPreference } from '../complaints/described.ts';
import { isActive, type Member } from '../people.ts';

/** The total timeout of an attempt, even if the mail server keeps sending data. */
export const attemptTimeoutMs = 30_000;

/** Emails that cannot be sent within this time are dropped, because they are outdated. */
export const giveUpAfterMs = 3 * 24 * 3600_000;

/** How long an email waits for further changes, which then become part of it. */
export const burstMs = 60_000;

/** The minimum time between two lists of new complaints to the same person. */
export const digestEveryMs = 3600_000;

export const changeKinds = ['filed', 'commented', 'noted', 'assigned', 'moved'] as const;
/** What happened to a complaint. `noted` is an internal comment. */
export type ChangeKind = (typeof changeKinds)[number];

export const mailKinds = ['receipt', 'news', 'work', 'digest'] as const;
/**
 * What a person can unsubscribe from: the receipt of a complaint, news about complaints that they filed or watch, news
 * about complaints assigned to them, and lists of their team's new complaints.
 */
export type MailKind = (typeof mailKinds)[number];

export type Mailed = Readonly<{
  complainant_id: string | null;
  assignee_id: string | null;
  team_id: string | null;
  contact_preference: ContactPreference;
  reporter_email: string | null;
}>;

/** `user_id` is null for a person without an account. */
export type Recipient = Readonly<{ kind: MailKind; user_id: string | null }>;

type Change = Readonly<{ kind: ChangeKind; actorId: string }>;
type Others = Readonly<{ watchers: readonly string[]; team: readonly string[] }>;

/** Returns who gets an email about a change. The user who made it gets only the receipt. */
export function recipientsOf({ kind, actorId }: Change, complaint: Mailed, { watchers, team }: Others): Recipient[] {
  const { complainant_id: complainant, assignee_id: assignee, reporter_email: address } = complaint;
  const reporter = wantsMail(complaint) && (complainant ?? address) !== null ? [complainant] : [];
  if (kind === 'filed') {
    const staff = team.filter((id) => id !== actorId && id !== complainant);
    return [
      ...reporter.map((user_id) => ({ kind: 'receipt', user_id }) as const),
      ...staff.map((user_id) => ({ kind: 'digest', user_id }) as const),
    ];
  }
  const found = new Map<string | null, MailKind>();
  if (kind !== 'noted') {
    for (const id of watchers) if (id !== complainant) found.set(id, 'news');
    for (const id of reporter) found.set(id, 'news');
  }
  if (assignee !== null && assignee !== complainant) found.set(assignee, 'work');
  found.delete(actorId);
  return Array.from(found, ([user_id, of]) => ({ kind: of, user_id }));
}

/** Returns the address of a person without an account, if they want email. It is not confirmed. */
export function reporterAddress(complaint: Mailed): string | undefined {
  return wantsMail(complaint) ? (complaint.reporter_email ?? undefined) : undefined;
}

/** Whether a member wants email about a complaint and may get it. */
export function mayBeMailed(complaint: Mailed, member: Member): boolean {
  if (!isActive(member)) return false;
  return member.id === complaint.complainant_id ? wantsMail(complaint) : isStaff(member);
}

const wantsMail = ({ contact_preference }: Mailed) => contact_preference === 'email';
