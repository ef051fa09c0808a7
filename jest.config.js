import { spawnSync } from 'node:child_process';

// One run for every workspace, so that `npm test` ends with one summary. Projects only name what failed.
const shared = {
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } },
    ],
  },
  // These packages have TypeScript under the condition `source` too.
  moduleNameMapper: {
    '^eventsource$': '<rootDir>/node_modules/eventsource/dist/index.js',
    '^eventsource-parser$': '<rootDir>/node_modules/eventsource-parser/dist/index.js',
    '^eventsource-parser/stream$': '<rootDir>/node_modules/eventsource-parser/dist/stream.js',
  },
  modulePathIgnorePatterns: ['/dist/', '/\\.countersign/'],
};

// The reference verifier in examples/ needs a Python with `cryptography`.
const python = ['python3', '/usr/bin/python3'].find(
  (command) => spawnSync(command, ['-c', 'import cryptography']).status === 0,
);
if (python !== undefined) process.env.VERIFIER_PYTHON = python;

// What only a server can show, e.g. two processes on one database, is in *.postgres.test.ts; .ci/run sees to it that they ran.
const ignored = [
  '/node_modules/',
  ...(process.env.DATABASE_URL ? [] : ['\\.postgres\\.test\\.ts$']),
  ...(python ? [] : ['\\.python\\.test\\.ts$']),
  // `npm run test:slow` and `npm run test:nightly` run these alone.
  ...(process.env.SLOW ? [] : ['\\.slow\\.test\\.ts$']),
  ...(process.env.NIGHTLY ? [] : ['\\.nightly\\.test\\.ts$']),
];

const project = (path) => ({
  ...shared,
  displayName: path.replace('packages/', ''),
  rootDir: import.meta.dirname,
  roots: [`<rootDir>/${path}`],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ignored,
});

export default {
  // Suites wait for timeouts, for processes and for databases half of the time: four of them keep two cores busy.
  maxWorkers: 4,
  // For what hangs. No test goes by it: a busy machine may take ten times as long as a quiet one.
  testTimeout: 120_000,
  // A worker keeps about 15 MB of each suite, which makes it slow to collect garbage, and to free it takes a second.
  // It starts anew beyond this, and has time to end; one that an open handle keeps alive is still reported.
  workerIdleMemoryLimit: '768MB',
  workerGracefulExitTimeout: 10_000,
  projects: [
    'packages/identity',
    'packages/http1-client',
    'packages/admin-api',
    'packages/proxy-config',
    'packages/strict-jwt',
    'packages/strict-yaml',
    'packages/ext-authz',
    'packages/console',
    'packages/jwks',
    'packages/service-kit',
    'packages/database',
    'packages/mail',
    'packages/testing',
    'packages/client',
    'gateway',
    'auth-service',
    'users-service',
    'complaint-service',
    'infra',
    'web',
  ].map(project),
};
