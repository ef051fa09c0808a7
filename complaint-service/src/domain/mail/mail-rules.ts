import { isStaff } from '../access.ts';
import type { ContactPreference } from '../complaints/described.ts';
import { isActive, type Member } from '../people.ts';

/** The total time of one attempt, even when the mail server keeps sending. */
export const attemptTimeoutMs = 30_000;

/** Mails that could not be sent within this time are given up, because their content is outdated. */
export const giveUpAfterMs = 3 * 24 * 3600_000;

export type Mailed = Readonly<{
  complainant_id: string | null;
  contact_preference: ContactPreference;
  reporter_email: string | null;
}>;

/**
 * Members who get a mail about a change: the complainant, if they want mail, and watchers, but not the user who made
 * it.
 */
export function membersToMail(complaint: Mailed, watchers: readonly string[], actorId: string): string[] {
  const { complainant_id: complainantId } = complaint;
  const all = new Set([...(complainantId === null ? [] : [complainantId]), ...watchers]);
  all.delete(actorId);
  return [...all].filter((userId) => userId !== complainantId || wantsMail(complaint));
}

/** The address of a person without an account, if they want mail. */
export function reporterAddress(complaint: Mailed): string | undefined {
  return wantsMail(complaint) ? (complaint.reporter_email ?? undefined) : undefined;
}

/** Whether a member may still see the complaint, and wants mail, at the time of sending. */
export function mayBeMailed(complaint: Mailed, member: Member): boolean {
  if (!isActive(member)) return false;
  return member.id === complaint.complainant_id
    ? wantsMail(complaint)
    : isStaff({ userId: member.id, role: member.role });
}

const wantsMail = ({ contact_preference }: Mailed) => contact_preference === 'email';
