import { tableLines } from './table-lines.ts';

const described = [
  {
    name: 'keys list',
    summary: 'the signing keys: state, when each comes into use and goes, under which master key',
  },
  {
    name: 'keys rotate',
    summary: 'let the next signing key take over as soon as every verifier knows it',
  },
  {
    name: 'keys revoke',
    argument: 'KID',
    summary: 'refuse everything signed with this key, everywhere, and go on with the next one at once',
  },
  {
    name: 'keys rewrap',
    summary: 'seal all secrets in the database under the current master key, so that older ones can go',
  },
  {
    name: 'sessions end-all',
    summary: 'end every session of every tenant, and begin the revocation log anew (after a restore)',
  },
  {
    name: 'users disable',
    argument: 'EMAIL',
    summary: 'let nobody log in as this person, and end their sessions',
  },
  {
    name: 'users enable',
    argument: 'EMAIL',
    summary: 'let this person log in again',
  },
  {
    name: 'mfa reset',
    argument: 'EMAIL',
    summary: 'take second factor and recovery codes from somebody who has lost both',
  },
  {
    name: 'audit verify',
    summary: 'compute the hash chain of every audit log again',
  },
] as const satisfies readonly Readonly<{ name: string; argument?: string; summary: string }>[];

export type CommandName = (typeof described)[number]['name'];

/** A command as it is typed. `argument` is what stands behind it, e.g. `KID`. */
export type Command = Readonly<{ name: CommandName; argument?: string; summary: string }>;

const commands: readonly Command[] = described;

/** @returns undefined when there is no such command, or it was given too little or too much. */
export function findCommand(words: readonly string[]): Readonly<{ command: Command; argument: string }> | undefined {
  const command = commands.find(({ name }) => name === words.slice(0, 2).join(' '));
  if (command === undefined || words.length !== (command.argument === undefined ? 2 : 3)) return undefined;
  return { command, argument: words[2] ?? '' };
}

/** The help of the command line. */
export function usage(): string {
  const rows = commands.map(({ name, argument, summary }) => [
    `  ${name}${argument === undefined ? '' : ` ${argument}`}`,
    summary,
  ]);
  return ['countersign-auth COMMAND: what an operator tells the running auth-service', '', ...tableLines(rows)].join(
    '\n',
  );
}
