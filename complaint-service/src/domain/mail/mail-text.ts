import { staffRoles } from '../access.ts';
import { oneLine, quote } from './quote.ts';
import type { MailKind } from './recipients.ts';
import { languagesOf, type Words, words } from './words.ts';

/** A change that the reader may see. */
export type Told = Readonly<{ actorId: string; actorRole: string }> &
  Readonly<
    | { what: 'comment'; body: string }
    | { what: 'note' }
    | { what: 'assigned'; to: string }
    | { what: 'unassigned' }
    | { what: 'moved'; to: keyof Words['moved']; reason: string | undefined }
  >;

type Shown = Readonly<{ number: string; title: string; link: string | undefined }>;

export type MailContent = Readonly<{ kind: MailKind; organization: string; locale: string | null | undefined }> &
  Readonly<
    | { confirmed: false; number: string; link: string | undefined }
    | {
        confirmed: true;
        /** The complaint, or all complaints of a digest. */
        complaints: readonly Shown[];
        changes: readonly Told[];
        /** Names of people by id. */
        names: ReadonlyMap<string, string>;
      }
  >;

const maxListed = 50;

/**
 * Builds a plain-text email, in both languages if the reader's is unknown. Only our own words and the number are in the
 * subject. What people wrote is quoted, and has no link.
 */
export function mailText(content: MailContent): Readonly<{ subject: string; text: string }> {
  const all = languagesOf(content.locale).map((language) => words[language]);
  const complaints = content.confirmed ? content.complaints : [content];
  const number = complaints.length === 1 ? `[${complaints[0]?.number}] ` : '';
  return {
    subject: number + all.map(({ subjects }) => subjects[content.kind]).join(' / '),
    text: all.map((language) => `${bodyOf(content, language).join('\n\n')}\n`).join('\n----------\n\n'),
  };
}

function bodyOf(content: MailContent, language: Words): string[] {
  const { kind } = content;
  const organization = oneLine(content.organization);
  if (!content.confirmed) {
    const intro = language.intros[kind](organization, content.number);
    return [intro, ...linkTo(content, language), ...leave(content, language)];
  }
  const { complaints, changes } = content;
  const parts = [language.intros[kind](organization, complaints[0]?.number ?? '')];
  for (const complaint of complaints.slice(0, maxListed)) {
    if (kind === 'digest') parts.push(complaint.number);
    parts.push(quote(complaint.title));
    if (kind !== 'receipt' && kind !== 'digest') {
      parts.push(
        ...(changes.length === 0 ? [language.changed] : changes.flatMap((each) => told(each, content, language))),
      );
    }
    parts.push(...linkTo(complaint, language));
  }
  if (complaints.length > maxListed) parts.push(language.more(complaints.length - maxListed));
  return [...parts, ...leave(complaints[0], language)];
}

const linkTo = ({ link }: Pick<Shown, 'link'>, { open }: Words) => (link === undefined ? [] : [`${open}\n${link}`]);

/** Without a base URL, there is no link, and nothing to unsubscribe with. */
const leave = (shown: Pick<Shown, 'link'> | undefined, { unsubscribe }: Words) =>
  shown?.link === undefined ? [] : [unsubscribe];

type Named = Readonly<{ names: ReadonlyMap<string, string> }>;

function told(change: Told, { names }: Named, language: Words): string[] {
  const nameOf = (id: string) => (names.has(id) ? language.name(oneLine(names.get(id) ?? '')) : undefined);
  const isStaff = staffRoles.some((role) => role === change.actorRole);
  const role = change.actorRole === 'service' ? 'service' : isStaff ? 'staff' : 'complainant';
  const who = nameOf(change.actorId) ?? language.roles[role];
  switch (change.what) {
    case 'comment':
      return [language.wrote(who), quote(change.body)];
    case 'note':
      return [language.noted(who)];
    case 'assigned':
      return [language.assigned(who, nameOf(change.to) ?? language.agent)];
    case 'unassigned':
      return [language.unassigned(who)];
    case 'moved':
      return [
        language.moved[change.to](who),
        ...(change.reason === undefined
          ? []
          : [change.to === 'resolved' ? language.answer : language.reason, quote(change.reason)]),
      ];
  }
}
