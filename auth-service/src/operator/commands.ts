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
    takes: ['KID'],
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
    name: 'tenants list',
    summary: 'every tenant: its name in logins and for people, and whether it is closed',
  },
  {
    name: 'tenants create',
    takes: ['SLUG', 'NAME'],
    summary: 'make a tenant; people choose it by the first name and read the second',
  },
  {
    name: 'tenants invite',
    takes: ['SLUG', 'EMAIL'],
    summary: 'mail an invitation as administrator, e.g. as the first',
  },
  {
    name: 'tenants disable',
    takes: ['SLUG'],
    summary: 'block logins to this tenant, and end every session in it',
  },
  {
    name: 'tenants enable',
    takes: ['SLUG'],
    summary: 'let its members log in again',
  },
  {
    name: 'users disable',
    takes: ['EMAIL'],
    summary: 'block logins of this person, and end their sessions',
  },
  {
    name: 'users enable',
    takes: ['EMAIL'],
    summary: 'let this person log in again',
  },
  {
    name: 'mfa reset',
    takes: ['EMAIL'],
    summary: 'remove the second factor and recovery codes of a person who lost both',
  },
  {
    name: 'audit verify',
    summary: 'compute the hash chain of every audit log again',
  },
  {
    name: 'audit contains',
    takes: ['HASH'],
    summary: 'whether the log goes on from a last hash that was noted earlier, or was cut off before it',
  },
] as const satisfies readonly Readonly<{ name: string; takes?: readonly string[]; summary: string }>[];

export type CommandName = (typeof described)[number]['name'];

/** A command of the CLI. `takes` are its arguments, e.g. `KID`. */
export type Command = Readonly<{ name: CommandName; takes?: readonly string[]; summary: string }>;

const commands: readonly Command[] = described;

/** @returns undefined when the command is unknown or the number of arguments is wrong. */
export function findCommand(
  words: readonly string[],
): Readonly<{ command: Command; given: readonly string[] }> | undefined {
  const command = commands.find(({ name }) => name === words.slice(0, 2).join(' '));
  const given = words.slice(2);
  return command !== undefined && given.length === (command.takes ?? []).length ? { command, given } : undefined;
}

/** The help of the command line. */
export function usage(): string {
  const rows = commands.map(({ name, takes = [], summary }) => [`  ${[name, ...takes].join(' ')}`, summary]);
  return ['countersign-auth COMMAND: what an operator tells the running auth-service', '', ...tableLines(rows)].join(
    '\n',
  );
}

/** Formats rows as aligned columns. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
