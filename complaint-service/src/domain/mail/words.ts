import type { Status } from '../complaints/workflow.ts';
import type { MailKind } from './recipients.ts';

export type Language = 'en' | 'de';

/** `who` and `agent` are names in quotation marks, or descriptions such as “the team”. */
export type Words = Readonly<{
  name: (name: string) => string;
  roles: Readonly<Record<'complainant' | 'staff' | 'service', string>>;
  /** A member of the team without a name. */
  agent: string;
  subjects: Readonly<Record<MailKind, string>>;
  intros: Readonly<Record<MailKind, (org: string, number: string) => string>>;
  wrote: (who: string) => string;
  noted: (who: string) => string;
  assigned: (who: string, agent: string) => string;
  unassigned: (who: string) => string;
  moved: Readonly<Record<Exclude<Status, 'open' | 'assigned'>, (who: string) => string>>;
  reason: string;
  answer: string;
  changed: string;
  more: (count: number) => string;
  open: string;
  unsubscribe: string;
}>;

const en: Words = {
  name: (name) => `“${name}”`,
  roles: { complainant: 'The person who filed the complaint', staff: 'The team', service: 'The system' },
  agent: 'a member of the team',
  subjects: {
    receipt: 'We have received your complaint',
    news: 'News about a complaint',
    work: 'News about a complaint assigned to you',
    digest: 'New complaints',
  },
  intros: {
    receipt: (org, number) => `${org} has received your complaint. Its number is ${number}. We write when it changes.`,
    news: (org, number) => `There is news about the complaint ${number} at ${org}.`,
    work: (org, number) => `There is news about the complaint ${number} at ${org}, which is assigned to you.`,
    digest: (org) => `New complaints at ${org}.`,
  },
  wrote: (who) => `${who} wrote:`,
  noted: (who) => `${who} wrote an internal note. Open the complaint to read it.`,
  assigned: (who, agent) => `${who} assigned the complaint to ${agent}.`,
  unassigned: (who) => `${who} returned the complaint to the queue.`,
  moved: {
    in_progress: (who) => `${who} started to work on the complaint.`,
    reopened: (who) => `${who} reopened the complaint.`,
    resolved: (who) => `${who} marked the complaint as resolved.`,
    closed: (who) => `${who} closed the complaint.`,
    rejected: (who) => `${who} rejected the complaint.`,
    duplicate: (who) => `${who} marked the complaint as a duplicate of another one.`,
    withdrawn: (who) => `${who} withdrew the complaint.`,
  },
  reason: 'The reason:',
  answer: 'The answer:',
  changed: 'The complaint has changed.',
  more: (count) => `And ${count} more.`,
  open: 'Open it here:',
  unsubscribe: 'To get no more emails of this kind, use “Unsubscribe” in your email program.',
};

const de: Words = {
  name: (name) => `„${name}“`,
  roles: { complainant: 'Die Person, die die Beschwerde eingereicht hat,', staff: 'Das Team', service: 'Das System' },
  agent: 'einem Mitglied des Teams',
  subjects: {
    receipt: 'Wir haben Ihre Beschwerde erhalten',
    news: 'Neues zu einer Beschwerde',
    work: 'Neues zu einer Beschwerde, die Ihnen zugewiesen ist',
    digest: 'Neue Beschwerden',
  },
  intros: {
    receipt: (org, number) =>
      `Ihre Beschwerde ist bei ${org} eingegangen. Sie hat die Nummer ${number}. Wir schreiben Ihnen, wenn sich etwas ändert.`,
    news: (org, number) => `Es gibt Neues zur Beschwerde ${number} bei ${org}.`,
    work: (org, number) => `Es gibt Neues zur Beschwerde ${number} bei ${org}, die Ihnen zugewiesen ist.`,
    digest: (org) => `Neue Beschwerden bei ${org}.`,
  },
  wrote: (who) => `${who} hat geschrieben:`,
  noted: (who) => `${who} hat eine interne Notiz geschrieben. Öffnen Sie die Beschwerde, um sie zu lesen.`,
  assigned: (who, agent) => `${who} hat die Beschwerde ${agent} zugewiesen.`,
  unassigned: (who) => `${who} hat die Beschwerde in den Eingang zurückgegeben.`,
  moved: {
    in_progress: (who) => `${who} hat mit der Arbeit an der Beschwerde begonnen.`,
    reopened: (who) => `${who} hat die Beschwerde wieder geöffnet.`,
    resolved: (who) => `${who} hat die Beschwerde als gelöst gemeldet.`,
    closed: (who) => `${who} hat die Beschwerde abgeschlossen.`,
    rejected: (who) => `${who} hat die Beschwerde abgelehnt.`,
    duplicate: (who) => `${who} hat die Beschwerde als Duplikat einer anderen markiert.`,
    withdrawn: (who) => `${who} hat die Beschwerde zurückgezogen.`,
  },
  reason: 'Der Grund:',
  answer: 'Die Antwort:',
  changed: 'Die Beschwerde hat sich geändert.',
  more: (count) => `Und ${count} weitere.`,
  open: 'Hier öffnen:',
  unsubscribe: 'Um keine E-Mails dieser Art mehr zu erhalten, verwenden Sie „Abmelden“ in Ihrem E-Mail-Programm.',
};

export const words: Readonly<Record<Language, Words>> = { en, de };

/** Returns the languages of an email: both if the reader has chosen none. */
export function languagesOf(locale: string | null | undefined): readonly Language[] {
  if (!locale) return ['en', 'de'];
  return /^de\b/i.test(locale) ? ['de'] : ['en'];
}
