/** Each command with its arguments, and what it does. */
const commands = {
  'keys list': 'list the signing keys with their state, times and master key',
  'keys rotate': 'activate the next signing key as soon as every verifier has it',
  'keys revoke KID': 'revoke this key everywhere, and sign with the next one immediately',
  'keys rewrap': 'encrypt all secrets with the current master key, so that older master keys can be removed',
  'sessions end-all': 'end all sessions in all tenants, and start a new revocation log (after a restore)',
  'tenants list': 'list the tenants with their id, slug, status and name',
  'tenants create SLUG NAME': 'create a tenant; users log in with SLUG and see NAME',
  'tenants invite SLUG EMAIL': 'email an invitation to become an administrator',
  'tenants disable SLUG': 'block logins to this tenant, and end all its sessions',
  'tenants enable SLUG': 'let members of this tenant log in again',
  'users disable EMAIL': 'stop this person from logging in, and end their sessions',
  'users enable EMAIL': 'let this person log in again',
  'mfa reset EMAIL': 'remove the second factor and recovery codes of a person who lost both',
  'audit verify': 'verify the hash chain of every audit log',
  'audit contains HASH': 'check that an audit log still contains a hash that you recorded earlier',
} as const;

/** A command with its arguments, such as `keys revoke KID`. */
export type Command = keyof typeof commands;

/** @returns undefined if the command is unknown or the number of arguments is wrong. */
export function findCommand(
  words: readonly string[],
): Readonly<{ command: Command; name: string; given: readonly string[] }> | undefined {
  const name = words.slice(0, 2).join(' ');
  const given = words.slice(2);
  const command = (Object.keys(commands) as Command[]).find((each) => {
    const [group, verb, ...takes] = each.split(' ');
    return `${group} ${verb}` === name && takes.length === given.length;
  });
  return command && { command, name, given };
}

/** The help text of the command line. */
export function usage(): string {
  const rows = Object.entries(commands).map(([command, summary]) => [`  ${command}`, summary]);
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
