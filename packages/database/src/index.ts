export type { Database, Scope } from './database.ts';
export { isUniqueViolation } from './failure.ts';
export type { Migration } from './migrate.ts';
export { type Location, locationFrom, type OpenOptions, openDatabase } from './open-database.ts';
export { currentTenant, currentUser, rowSecurity, tenantTable } from './row-security.ts';
