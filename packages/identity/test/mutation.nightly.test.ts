import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { isFound, load, src } from './load-library.ts';
import { mutantsOf } from './mutants.ts';
import { checks } from './vector-checks.ts';

/**
 * Every file that a verifier runs, with its exceptions: functions that only a signer runs, and lines where no mutant
 * can change a decision, such as caches and the defaults of options that vectors.json sets.
 */
const files: Readonly<Record<string, Readonly<{ functions?: readonly string[]; lines?: readonly string[] }>>> = {
  'verify/identity-headers.ts': { lines: ['let covered = 0'] }, // Every request has x-request-id, the first bit.
  'contract/context.ts': {
    functions: ['serializeContext', 'serialize'],
    lines: ['const maxAddressLength'],
  },
  'contract/contract.ts': {
    lines: ["claims.kind === 'user' ?", "claims.kind === 'client' ?", 'covered === undefined'],
  },
  // Each member has its own narrower grammar, and an entry without a key or a value is not a member.
  'contract/dictionary.ts': {
    lines: [
      'Pattern = /',
      'key === undefined ||',
      'text === undefined ||',
      'parameter === undefined ||',
      'value === undefined',
      'digits === undefined',
      'item === undefined',
      '#at = 0',
    ],
  },
  'verify/exempt.ts': { lines: ["split('?', 1)"] },
  'verify/freshness.ts': { lines: ['2 * rules.toleranceSec'] }, // Matters only between two clocks: see skewed-clocks.int.test.ts.
  'contract/grammar.ts': { lines: ['text: ', 'value.slice(', 'Number.isInteger(value)'] }, // An integer in the dictionary is always one.
  'contract/header-names.ts': { functions: ['isReservedHeader'], lines: ['const proxyPattern'] },
  'keys/gateway-keys.ts': {
    functions: ['gatewayKeys', 'isPlainHttp', 'refusePlainHttp', 'warn', 'fetchKey'],
    // agreed-lookup.ts does not look for any other key under the keyid of an agreed key. A lookup also finds held keys.
    lines: ['isPublished', 'parseAgreedKeyid(', 'keys.size === 0', 'known === undefined ?'],
  },
  // Keys of other algorithms, and checks before those of the curve and of OpenSSL: see parse-jwks.test.ts.
  '../../jwks/src/import-jwk.ts': {
    functions: ['rsaAlgorithmOf'],
    lines: [
      "'P-256': {",
      "'P-384': {",
      "'P-521': {",
      "'oct'",
      "'refused' in chosen",
      '!algorithms.includes(chosen.alg)',
      '>= fieldPrime', // p itself has small order.
      'members === undefined',
      "typeof jwk.alg !== 'string'",
      "jwk.kty === 'RSA'",
      'curve.kty !== jwk.kty',
      "(kty === 'RSA')",
      'isBase64url(n)',
      "(kty === 'OKP')",
      "kty === 'EC' &&",
      'value.length === 0',
      'bytes === undefined ||',
      "=== 'rsa'",
      'modulusLength',
      "=== 'ed25519' &&",
    ],
  },
  // The shape of a whole key set, and kids that are no keyid: see parse-jwks.test.ts.
  '../../jwks/src/parse-jwks.ts': {
    lines: [
      'kidPattern',
      'maxKeys',
      '!isRecord(entry)',
      'kid === undefined',
      'kid !== undefined',
      'issuer',
      'value !== null',
    ],
  },
  // OpenSSL refuses an all-zero result itself, and a salt of zeros is the same as none.
  'keys/agreement.ts': { functions: ['agreeAsGateway'], lines: ['shared.every', 'new Uint8Array(0)'] },
  'keys/agreement-jwk.ts': {
    functions: ['agreementKeyFromJwk', 'newAgreementJwk', 'publicAgreementJwk', 'isFor', 'audOf'],
    // What Node promises, and keys that name a service: see agreement-keys.test.ts.
    lines: ['isFor(', 'aud ===', 'aud: audience', 'isPublishedKey(jwk)', 'x === undefined', 'parsed &&'],
  },
  'keys/agreed-lookup.ts': { lines: ['maxPairs', 'known?.gateway'] },
  'verify/raw-headers.ts': { lines: ['index + 1 < rawHeaders.length'] },
  '../../jwks/src/ows.ts': { lines: ['while (from < to', 'while (to > from', 'start = 0'] },
  // The lifetime of a call is 30 s in the vectors, and the start of a memory is the gateway's own: see
  // nested-calls.int.test.ts.
  'nested/service-signature.ts': {
    functions: ['signServiceRequest', 'headerOf', 'previousNames'],
    lines: ['toleranceSec = 5', 'const earliestUseSec', 'notBeforeSec = '],
  },
  // Every other error comes from the service.
  'adapters/problem.ts': {
    functions: ['problemForRefusal'],
    lines: ["?? '/'", 'identity_not_allowed', 'insufficient_', 'requestId !== undefined', 'instanceof BodyTooLarge'],
  },
  'replay/replay-memory.ts': { lines: ['maxNonces = 500_000', '#sweptSec = 0'] },
  'contract/rfc9421.ts': {
    functions: [
      'serializeParams',
      'signatureHeaders',
      'signBase',
      'signBaseAsBase64',
      'secretKeyid',
      'assertStrongSecret',
    ],
    lines: ['const minSecretBytes', 'key === undefined'],
  },
  'verify/signed-message.ts': {},
  'verify/verify.ts': {
    lines: [
      'const { audience, keys, replay,',
      'RangeError',
      "options.keys === 'memory'",
      'head.hasBody === true',
      'new Uint8Array(0)',
    ],
  },
};

/** Mutants that decide exactly like the original. */
const equivalent = [
  /^\/\[\^a-z0-9\]\/g => \/\[\^(?:[A-Z]|\\-)a-z0-9\]\/g$/, // Names are in lower case already, and `-` is replaced by itself.
  /^\/\[\^a-z0-9\]\/g => \/\[\^a-z0-9\]\/gi$/,
  /^\/\^\[!-~\]/, // Surrounding white space is removed first.
  /(?:signature|countersign|created|nonce|alg)=.* => .*\\n/, // `.` in the length limit matches no line feed.
  /^\/\^\[(?:!#-|A-Za-z0-9).* => .*\[(?:\\n|\\u0080)/, // The dictionary's strings are printable ASCII.
  /^\/\^\[A-Za-z0-9_-\]\{43\}.* => .*\[(?:\/|\+| |\\n|\\u0080)/, // A keyid has none of these characters.
  / => typeof jwk\.crv === 'string'$/, // No inherited member is a curve with a kty.
  /well-known.* => .*\[\?A-Za-z/, // A path ends at the first `?`.
];

test('the verifier itself passes every vector', async () => {
  const library = load({});
  for (const { name, isPassedBy } of checks) expect([name, await isPassedBy(library)]).toEqual([name, true]);
});

test.each(Object.entries(files))(
  'no mutant of %s passes every vector',
  async (file, { functions = [], lines = [] }) => {
    const mutants = mutantsOf(readFileSync(resolve(src, file), 'utf8'), functions, lines);
    const survivors: string[] = [];
    for (const mutant of mutants) {
      const name = `${mutant.before} => ${mutant.after}`;
      if (equivalent.some((pattern) => pattern.test(name))) continue;
      if (!(await isFound({ [file]: mutant.source }))) survivors.push(`${mutant.line}: ${name}`);
    }
    expect(mutants.length).toBeGreaterThan(0);
    expect(survivors).toEqual([]);
  },
);
