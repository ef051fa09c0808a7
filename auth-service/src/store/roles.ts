/**
 * Database roles of transactions. Each role does one kind of work: migrations grant it only that, and its policies
 * decide which rows it sees.
 */
export const roles = {
  /** Before a tenant is known: finds a person by e-mail, and reads that one person's credential and memberships. */
  login: 'countersign_auth_login',
  /** Inside one tenant: starts, continues and ends its sessions. */
  app: 'countersign_auth_app',
  /** One person's own sessions in every tenant. */
  self: 'countersign_auth_self',
  /** One person's second factor: its secret, its recovery codes, and the steps of logins that ask for it. */
  factors: 'countersign_auth_factors',
  /** Creates and changes tenants, people, passwords, memberships and invitations. */
  accounts: 'countersign_auth_accounts',
  /** Before a tenant is known: authenticates one OAuth client, and stores its used assertions. */
  clients: 'countersign_auth_clients',
  /** Delivers the outbox, across tenants; creates the tokens in mails. */
  courier: 'countersign_auth_courier',
  /** Signing keys, their revocations, and everything else that is sealed under the master key. */
  keys: 'countersign_auth_keys',
  /** Runs operator commands across tenants. */
  operator: 'countersign_auth_operator',
  /** Reads the revocation log of all tenants. */
  feed: 'countersign_auth_feed',
  /** Deletes expired rows, and sees only those. */
  upkeep: 'countersign_auth_upkeep',
} as const;
