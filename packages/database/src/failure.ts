import { AppError } from '@countersign/process-kit';

const networkCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH']);

/**
 * SQLSTATE codes for failures of the server rather than the statement: 08 connection, 53 resources, 57P shutdown, 57014
 * our own statement_timeout, and 40P01 deadlock. Nothing was executed, so the caller can retry (PostgreSQL, appendix
 * A).
 */
function isServerTrouble(code: string): boolean {
  return /^(08...|53...|57P..|57014|40P01)$/.test(code);
}

/** Turns a failure to reach the database into a 503. Returns other errors unchanged. */
export function asUnavailable(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const isTrouble =
    (typeof code === 'string' && (networkCodes.has(code) || isServerTrouble(code))) ||
    (typeof message === 'string' && withoutCode.test(message));
  if (!isTrouble) return error;
  // The server may be well: pg-pool says this only after a wait for a connection that other transactions use.
  const detail = { detail: { reason: 'all database connections of the pool are in use' } };
  return new AppError('unavailable', { cause: error, ...(message === busyPool && detail) });
}

// pg sets no code on these errors (pg-pool and client, 8.x).
const busyPool = 'timeout exceeded when trying to connect';
const withoutCode =
  /^(timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection|Cannot use a pool after)/;

/** Whether this is a unique violation (SQLSTATE 23505), optionally of this constraint. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  const { code, constraint: violated } = error as { code?: unknown; constraint?: unknown };
  return code === '23505' && (constraint === undefined || violated === constraint);
}
