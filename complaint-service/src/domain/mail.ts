import { isStaff } from './access.ts';
import type { ContactPreference } from './complaints/described.ts';
import { isActive, type Member } from './people.ts';

/** The total timeout of an attempt, even if the mail server keeps sending data. */
export const attemptTimeoutMs = 30_000;

/** Emails that cannot be sent within this time are dropped, because they are outdated. */
export const giveUpAfterMs = 3 * 24 * 3600_000;

export type Mailed = Readonly<{
  complainant_id: string | null;
  contact_preference: ContactPreference;
  reporter_email: string | null;
}>;

/**
 * Returns the members who get an email about a change: the complainant, if they want email, and watchers, but not the
 * user who made the change.
 */
export function membersToMail(complaint: Mailed, watchers: readonly string[], actorId: string): string[] {
  const { complainant_id: complainantId } = complaint;
  const all = new Set([...(complainantId === null ? [] : [complainantId]), ...watchers]);
  all.delete(actorId);
  return [...all].filter((userId) => userId !== complainantId || wantsMail(complaint));
}

/** Returns the address of a person without an account, if they want email. */
export function reporterAddress(complaint: Mailed): string | undefined {
  return wantsMail(complaint) ? (complaint.reporter_email ?? undefined) : undefined;
}

/** Whether a member can still see the complaint and wants email. */
export function mayBeMailed(complaint: Mailed, member: Member): boolean {
  if (!isActive(member)) return false;
  return member.id === complaint.complainant_id ? wantsMail(complaint) : isStaff(member);
}

const wantsMail = ({ contact_preference }: Mailed) => contact_preference === 'email';

export type MailKind = 'answered' | 'assigned' | 'resolved' | 'closed' | 'rejected' | 'duplicate';

const happened: Readonly<Record<MailKind, string>> = {
  answered: 'has a new answer',
  assigned: 'was assigned',
  resolved: 'was resolved',
  closed: 'was closed',
  rejected: 'was rejected',
  duplicate: 'was marked as a duplicate',
};

type MailFacts = Readonly<{
  kind: MailKind;
  title: string;
  id: string;
  /** Undefined for a person without an account, who cannot log in to see the page. */
  link: string | undefined;
}>;

/** Builds plain text that contains only the title. Readers must log in to see comments, reasons and names. */
export function mailText({ kind, title, id, link }: MailFacts): Readonly<{ subject: string; text: string }> {
  const line = oneLine(title);
  const where = link === undefined ? '' : `\nTo read more, open:\n\n${link}\n`;
  return {
    subject: `A complaint ${happened[kind]}: ${line}`,
    text: `In Countersign, the complaint "${line}" ${happened[kind]}.\n${where}\nComplaint number: ${id}\n`,
  };
}

/** A title with a line break could look like part of our own text. */
const oneLine = (text: string) => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
