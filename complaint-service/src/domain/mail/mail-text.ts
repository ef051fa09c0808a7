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
  /** Undefined for a person without an account, who cannot log in to see the page. */
  link: string | undefined;
}>;

/** Builds plain text that contains only the title. Readers must log in to see comments, reasons and names. */
export function mailText({ kind, title, id, link }: MailFacts): Readonly<{ subject: string; text: string }> {
  const line = oneLine(title);
  const where = link === undefined ? '' : `\nTo read more, open:\n\n${link}\n`;
  return {
    subject: `A complaint ${happened[kind]}: ${line}`,
    text: `The complaint "${line}" ${happened[kind]}.\n${where}\nComplaint number: ${id}\n`,
  };
}

/** A title with a line break could look like part of our own text. */
const oneLine = (text: string) => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
