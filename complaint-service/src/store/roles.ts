/** The role for requests. It can add comments and history entries, but not change them. */
export const appRole = 'countersign_complaints_app';
/** The role that stores membership updates and returns a former agent's complaints to the queue. */
export const membershipRole = 'countersign_complaints_news';
/** The role that finds expired rows in all tenants. It sees only ids and times. */
export const upkeepRole = 'countersign_complaints_upkeep';
/** The role that delivers to webhooks in all tenants, and records the results. */
export const courierRole = 'countersign_complaints_courier';
/** The role that erases complaints and people, in one tenant at a time. */
export const eraserRole = 'countersign_complaints_eraser';
/** The role that sends emails for all tenants. It reads recipients and titles in one tenant at a time. */
export const mailerRole = 'countersign_complaints_mailer';
/** The role for OAuth clients. It can only read the complaints and categories in one tenant. */
export const readerRole = 'countersign_complaints_reader';
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
