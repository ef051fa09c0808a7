/** The role of every request. It can add comments and history entries, but not change them. */
export const appRole = 'countersign_complaints_app';
/**
 * The role that stores membership updates and returns the complaints of former agents to the queue of their tenant.
 */
export const membershipRole = 'countersign_complaints_news';
/** The role that finds expired rows in all tenants. It sees only ids and times. */
export const upkeepRole = 'countersign_complaints_upkeep';
/** The role that delivers to webhooks of all tenants, and records the results. */
export const courierRole = 'countersign_complaints_courier';
/** The role that erases complaints and people, in one tenant at a time. */
export const eraserRole = 'countersign_complaints_eraser';
/** The role that sends emails of all tenants. It reads recipients and titles in one tenant at a time. */
export const mailerRole = 'countersign_complaints_mailer';
/** The role of OAuth clients. It reads the complaints and categories of one tenant, and writes nothing. */
export const readerRole = 'countersign_complaints_reader';
/** The roles that transactions run as. */
export const requestRoles: readonly string[] = [
  appRole,
  readerRole,
  membershipRole,
  upkeepRole,
  courierRole,
  eraserRole,
  mailerRole,
];
/** The role that connects and owns the tables. Row-level security applies to it too. */
export const loginRole = 'countersign_complaints';
