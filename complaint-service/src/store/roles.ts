/** The role of every request. It can add comments and history entries, and change neither. */
export const appRole = 'countersign_complaints_app';
/** The role that stores membership news and returns the complaints of former agents to the queue of their tenant. */
export const newsRole = 'countersign_complaints_news';
/** The roles that transactions run as. */
export const requestRoles: readonly string[] = [appRole, newsRole];
/** The role that connects and owns the tables. Row-level security applies to it too. */
export const loginRole = 'countersign_complaints';
