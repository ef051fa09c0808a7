import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from '@jest/globals';
import type { Comparison } from './compare.ts';

export const page = readFileSync(resolve(import.meta.dirname, '../../../docs/header-advisories.md'), 'utf8');

/** Compares a router with its row in the page. */
export function expectDocumented(name: string, { crossed, crossedWithoutRule, forwarded }: Comparison): void {
  expect(forwarded).toBeGreaterThan(20);
  const row = page.split('\n').find((line) => line.startsWith(`| ${name} |`));
  expect(row).toBe(`| ${name} | ${crossedWithoutRule.length} | ${crossed.length} |`);
}
