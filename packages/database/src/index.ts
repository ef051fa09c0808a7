export { copyDatabase } from './copy-database.ts';
export type { Database, Scope } from './database.ts';
export { countRows, notify } from './database.ts';
export { isUniqueViolation } from './failure.ts';
export type { Migration } from './migrate.ts';
export { databaseOf, databaseProblems, type Location, type OpenOptions, openDatabase } from './open-database.ts';
export { type CourierWork, type DeliveryResult, deliveries, startCourier } from './outbox/courier.ts';
export { inMs, type LeasedRows, leasedRows, leaseSec, now, type OutboxRows, outboxRows } from './outbox/leased-rows.ts';
export { provision } from './provision.ts';
export { currentTenant, currentUser, rowSecurity, tenantTable } from './row-security.ts';
export {
  insert,
  insertNew,
  insertRow,
  type RowOf,
  remove,
  removing,
  rowsWith,
  save,
  update,
  updateRow,
  updating,
} from './rows.ts';
