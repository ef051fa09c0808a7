import { ConfigError } from '@countersign/process-kit';
import { expect } from '@jest/globals';
import { type LoadContext, parseConfig } from '../../src/config/load.ts';
import { exampleHead, exampleRoutes } from './example-config.ts';

/** The problems of a file's text; empty if it is valid. */
export function problemsOf(
  text: string,
  env: Record<string, string> = {},
  context: LoadContext = {},
): readonly string[] {
  try {
    parseConfig(text, { file: 'gateway.yaml', env, ...context });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The example with one change. */
export const changed = (from: string, to: string) => {
  const whole = exampleHead + exampleRoutes;
  expect(whole).toContain(from);
  return whole.replace(from, to);
};

/** The example with the given settings on a route `/a/:id`. */
export const route = (more: string) =>
  `${exampleHead}routes:\n  - { name: a, path: "/a/:id", methods: [GET], upstream: users-service${more} }\n`;
