/** The events that cause emails. */
export type MailKind = 'answered' | 'assigned' | 'resolved' | 'closed' | 'rejected' | 'duplicate';

const happened: Readonly<Record<MailKind, string>> = {
  answered: 'has a new answer',
  assigned: 'was assigned',
  resolved: 'was resolved',
  closed: 'was closed',
  rejected: 'was rejected',
  duplicate: 'was marked as a duplicate',
};

export type MailFacts = Readonly<{
  kind: MailKind;
  title: string;
  id: string;
  /** Undefined for a person without an account, because the page requires a login. */
  link: string | undefined;
}>;

/** Builds plain text with the title only. Comments, reasons and names require a login. */
export function mailText({ kind, title, id, link }: MailFacts): Readonly<{ subject: string; text: string }> {
  const line = oneLine(title);
  const where = link === undefined ? '' : `\nTo read more, open:\n\n${link}\n`;
  return {
    subject: `A complaint ${happened[kind]}: ${line}`,
    text: `The complaint "${line}" ${happened[kind]}.\n${where}\nNumber of the complaint: ${id}\n`,
  };
}

/** A line break in a title could otherwise make it look like our own text. */
const oneLine = (text: string) => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
