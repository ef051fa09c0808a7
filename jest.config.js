import { spawnSync } from 'node:child_process';

// One run for every workspace, so that `npm test` ends with a single summary. Projects only label failures.
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
  // These packages also export TypeScript under the condition `source`.
  moduleNameMapper: {
    '^eventsource$': '<rootDir>/node_modules/eventsource/dist/index.js',
    '^eventsource-parser$': '<rootDir>/node_modules/eventsource-parser/dist/index.js',
    '^eventsource-parser/stream$': '<rootDir>/node_modules/eventsource-parser/dist/stream.js',
  },
  modulePathIgnorePatterns: ['/dist/', '/\\.countersign/'],
};

// The suites of packages/verifiers/python need a Python with these packages, which .ci/run installs.
const imports = 'import cryptography, django, fastapi, flask, gunicorn, httpx, pytest, redis, uvicorn, wsproto';
const python = ['python3', '/usr/bin/python3'].find((command) => spawnSync(command, ['-c', imports]).status === 0);
if (python !== undefined) process.env.VERIFIER_PYTHON = python;

// Tests that need a server, e.g. two processes on one database, are in *.postgres.test.ts. .ci/run checks that they
// ran.
const ignored = [
  '/node_modules/',
  ...(process.env.DATABASE_URL ? [] : ['\\.postgres\\.test\\.ts$']),
  ...(python ? [] : ['\\.python\\.(?:slow\\.)?test\\.ts$']),
  // `npm run test:slow` and `npm run test:nightly` run only these.
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
  // Half of the time, suites wait for timeouts, processes and databases: four of them keep two cores busy.
  maxWorkers: 4,
  // Only for tests that hang. No test depends on it: a busy machine may take ten times as long as a quiet one.
  testTimeout: 120_000,
  // A worker retains about 15 MB of each suite, which slows garbage collection. Above this limit it is restarted, and
  // has time to end; a worker that an open handle keeps alive is still reported.
  workerIdleMemoryLimit: '768MB',
  workerGracefulExitTimeout: 10_000,
  projects: [
    'packages/identity',
    'packages/http1-client',
    'packages/proxy-config',
    'packages/revocations',
    'packages/signals',
    'packages/tracing',
    'packages/strict-yaml',
    'packages/conformance',
    'packages/console',
    'packages/jwks',
    'packages/process-kit',
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
