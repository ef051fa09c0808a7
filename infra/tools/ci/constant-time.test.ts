import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../../..');
const sources = execFileSync('git', ['ls-files', '*.ts', 'packages/verifiers'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => /^(?:gateway|[a-z]+-service|packages\/[\w-]+)\/(?:src|\w+\/src|go)\/.*\.(?:ts|py|go)$/.test(file))
  .filter((file) => !/[._]test\.(?:ts|go)$/.test(file))
  .map((file) => ({ file, text: readFileSync(resolve(root, file), 'utf8') }));

/** How often each file calls what matches, without imports. */
const countsOf = (call: RegExp) =>
  Object.fromEntries(
    sources.flatMap(({ file, text }) => {
      const count = text.match(call)?.length ?? 0;
      return count === 0 ? [] : [[file, count]];
    }),
  );

// A comparison with `===` or `equals` ends at the first difference, so its duration reveals how much of a guess is
// right.
test('every comparison of a secret or of a MAC takes constant time', () => {
  expect(countsOf(/\b(?:timingSafeEqual|compare_digest|hmac\.Equal|ConstantTimeCompare)\(/g)).toEqual({
    'auth-service/src/domain/clients/client-secret.ts': 1,
    'auth-service/src/domain/second-factor/totp.ts': 1,
    'auth-service/src/domain/sessions/cookies.ts': 1,
    'auth-service/src/domain/sessions/refresh-token.ts': 1,
    'auth-service/src/flows/sessions/refresh.ts': 1,
    'complaint-service/src/domain/mail/unsubscribe.ts': 1,
    'gateway/src/decision/decide.ts': 1,
    'gateway/src/tokens/dpop-replay.ts': 1,
    'gateway/src/tokens/txn-token.ts': 1,
    'packages/identity/src/contract/rfc9421.ts': 1,
    'packages/signals/src/push.ts': 1,
    'packages/signals/src/shared-log.ts': 1,
    'packages/verifiers/go/identity/keyset.go': 1,
    'packages/verifiers/python/src/countersign_identity/_contract/rfc9421.py': 1,
  });
});

test('a file that makes a MAC also compares one in constant time, or is known to compare none', () => {
  const comparing = countsOf(/\btimingSafeEqual\(/g);
  const others = Object.keys(countsOf(/\bcreateHmac\(/g)).filter((file) => comparing[file] === undefined);
  expect(others).toEqual([
    // Peppers a password before argon2, which compares.
    'auth-service/src/domain/accounts/passwords.ts',
    'complaint-service/src/domain/webhooks/signature.ts',
    // packages/signals/src/shared-log.ts compares.
    'gateway/src/events/gateways-log.ts',
    'packages/conformance/src/run-keys.ts',
    'packages/conformance/src/token-cases.ts',
    'packages/database/src/provision.ts',
    // packages/signals/src/push.ts compares.
    'packages/signals/src/webhook-proof.ts',
  ]);
});

test('of several accepted secrets, all are compared, because the time would show which one was close', () => {
  expect(countsOf(/\.(?:some|every|find\w*)\((?:[^()]|\([^()]*\))*=>[^;\n]*timingSafeEqual\(/g)).toEqual({});
});
