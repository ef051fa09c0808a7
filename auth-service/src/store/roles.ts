/**
 * Database roles of transactions. Each role does one kind of work: migrations grant it only the privileges for that,
 * and policies decide which rows it sees.
 */
export const roles = {
  /** Finds a person by email address before a tenant is known, and reads that person's credential and memberships. */
  login: 'countersign_auth_login',
  /** Starts, continues and ends the sessions of one tenant. */
  app: 'countersign_auth_app',
  /** Sees one person's own sessions in every tenant. */
  self: 'countersign_auth_self',
  /** Handles one person's second factor: its secret, its recovery codes, and the login steps that ask for it. */
  factors: 'countersign_auth_factors',
  /** Creates and changes tenants, people, passwords, memberships and invitations. */
  accounts: 'countersign_auth_accounts',
  /** Authenticates one OAuth client before a tenant is known, and stores its used assertions. */
  clients: 'countersign_auth_clients',
  /** Delivers the outbox, across tenants, and creates the tokens in emails. */
  courier: 'countersign_auth_courier',
  /** Handles signing keys, their revocations, and everything else that is encrypted with the master key. */
  keys: 'countersign_auth_keys',
  /** Runs operator commands across tenants. */
  operator: 'countersign_auth_operator',
  /** Reads the revocation log of all tenants. */
  feed: 'countersign_auth_feed',
  /** Deletes expired rows, and sees no others. */
  upkeep: 'countersign_auth_upkeep',
} as const;
