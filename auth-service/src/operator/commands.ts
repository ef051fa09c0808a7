const described = [
  {
    name: 'keys list',
    summary: 'list the signing keys with their state, times and master key',
  },
  {
    name: 'keys rotate',
    summary: 'activate the next signing key as soon as every verifier has it',
  },
  {
    name: 'keys revoke',
    takes: ['KID'],
    summary: 'revoke this key everywhere, and sign with the next one immediately',
  },
  {
    name: 'keys rewrap',
    summary: 'encrypt all secrets with the current master key, so that older master keys can be removed',
  },
  {
    name: 'sessions end-all',
    summary: 'end all sessions in all tenants, and start a new revocation log (after a restore)',
  },
  {
    name: 'tenants list',
    summary: 'list the tenants with their id, slug, status and name',
  },
  {
    name: 'tenants create',
    takes: ['SLUG', 'NAME'],
    summary: 'create a tenant; users log in with SLUG and see NAME',
  },
  {
    name: 'tenants invite',
    takes: ['SLUG', 'EMAIL'],
    summary: 'email an invitation to become an administrator',
  },
  {
    name: 'tenants disable',
    takes: ['SLUG'],
    summary: 'block logins to this tenant, and end all its sessions',
  },
  {
    name: 'tenants enable',
    takes: ['SLUG'],
    summary: 'let members of this tenant log in again',
  },
  {
    name: 'users disable',
    takes: ['EMAIL'],
    summary: 'stop this person from logging in, and end their sessions',
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
    summary: 'verify the hash chain of every audit log',
  },
  {
    name: 'audit contains',
    takes: ['HASH'],
    summary: 'check that an audit log still contains a hash that you recorded earlier',
  },
] as const satisfies readonly Readonly<{ name: string; takes?: readonly string[]; summary: string }>[];

export type CommandName = (typeof described)[number]['name'];

/** A CLI command. `takes` lists its arguments, such as `KID`. */
export type Command = Readonly<{ name: CommandName; takes?: readonly string[]; summary: string }>;

const commands: readonly Command[] = described;

/** @returns undefined if the command is unknown or the number of arguments is wrong. */
export function findCommand(
  words: readonly string[],
): Readonly<{ command: Command; given: readonly string[] }> | undefined {
  const command = commands.find(({ name }) => name === words.slice(0, 2).join(' '));
  const given = words.slice(2);
  return command !== undefined && given.length === (command.takes ?? []).length ? { command, given } : undefined;
}

/** The help text of the command line. */
export function usage(): string {
  const rows = commands.map(({ name, takes = [], summary }) => [`  ${[name, ...takes].join(' ')}`, summary]);
  return ['countersign-auth COMMAND: operate the running auth-service', '', ...tableLines(rows)].join('\n');
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
