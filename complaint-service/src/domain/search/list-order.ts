import { priorities } from '../complaints/described.ts';

export const orders = ['newest', 'oldest', 'updated', 'due', 'priority'] as const;
export type Order = (typeof orders)[number];

/** A position in an ordered list: the last complaint's sort keys, with times in milliseconds, and its id. */
export type ListPosition = Readonly<{ order: Order; keys: readonly number[]; id: string }>;

type Sorted = Readonly<{ id: string; created_at: Date; updated_at: Date; due_at: Date | null; priority: number }>;

/** The columns that each order uses, before the id. */
export const sortColumns = {
  newest: ['created_at'],
  oldest: ['created_at'],
  updated: ['updated_at'],
  due: ['due_at'],
  priority: ['priority', 'created_at'],
} as const satisfies Record<Order, readonly (keyof Sorted)[]>;

type SortColumn = (typeof sortColumns)[Order][number];

export const isAscending = (order: Order): boolean => order === 'oldest' || order === 'due';

export function positionOf(order: Order, row: Sorted): ListPosition {
  return { order, keys: sortColumns[order].map((column) => Number(row[column] ?? 0)), id: row.id };
}

const shape = /^([a-z]{1,8})((?:\.[0-9a-z]{1,10}){1,2})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

export function encodePosition({ order, keys, id }: ListPosition): string {
  return Buffer.from([order, ...keys.map((key) => key.toString(36)), id].join('.')).toString('base64url');
}

/** @returns undefined for anything that {@link encodePosition} did not write. */
export function decodePosition(cursor: string): ListPosition | undefined {
  const [, name, encoded = '', id] = shape.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  const order = orders.find((each) => each === name);
  if (order === undefined || id === undefined) return undefined;
  const keys = encoded
    .slice(1)
    .split('.')
    .map((key) => Number.parseInt(key, 36));
  const position = { order, keys, id };
  const columns = sortColumns[order];
  const isPossible =
    keys.length === columns.length && columns.every((column, index) => isPossibleKey(column, keys[index] ?? 0));
  // Accepts only the canonical form: Buffer skips invalid base64url characters, and parseInt accepts leading zeros.
  return isPossible && encodePosition(position) === cursor ? position : undefined;
}

/** Rejects keys that the database could not compare with the column. */
const isPossibleKey = (column: SortColumn, key: number): boolean =>
  column === 'priority' ? key < priorities.length : isStoredTime(key);

const firstMs = Date.parse('0001-01-01T00:00:00Z');
const endMs = Date.UTC(10_000, 0, 1);

/** Whether the database can store a time: Postgres and PGlite share a format only for the years 1 to 9999. */
export const isStoredTime = (ms: number): boolean => ms >= firstMs && ms < endMs;
