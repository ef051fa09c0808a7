/**
 * The database roles of our transactions. Migrations grant each role only the privileges for its work. Policies decide
 * which rows it sees.
 */
export const roles = {
  /** Finds a person by email address before a tenant is known. Reads that person's credential and memberships. */
  login: 'countersign_auth_login',
  /** Starts, continues and ends sessions in one tenant. */
  app: 'countersign_auth_app',
  /** Sees one person's own sessions in all tenants. */
  self: 'countersign_auth_self',
  /** Handles one person's second factor: the secret, the recovery codes, and login steps that need a code. */
  factors: 'countersign_auth_factors',
  /** Creates and changes tenants, people, passwords, memberships and invitations. */
  accounts: 'countersign_auth_accounts',
  /** Authenticates an OAuth client before its tenant is known, and stores used assertions. */
  clients: 'countersign_auth_clients',
  /** Delivers the outbox of all tenants, and creates the tokens in emails. */
  courier: 'countersign_auth_courier',
  /** Handles signing keys, their revocations, and all values that the master key encrypts. */
  keys: 'countersign_auth_keys',
  /** Runs operator commands in all tenants. */
  operator: 'countersign_auth_operator',
  /** Reads the revocation log of all tenants. */
  feed: 'countersign_auth_feed',
  /** Sees and deletes only expired rows. */
  upkeep: 'countersign_auth_upkeep',
} as const;
