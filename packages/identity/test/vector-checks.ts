import { isDeepStrictEqual } from 'node:util';
import type { BodyTooLarge, problemForError } from '../src/adapters/problem.ts';
import type * as current from '../src/index.ts';
import { nestedVectorFile, nestedVerdictOf } from './nested-verdict.ts';
import type { AnswerVector } from './vector-answers.ts';
import type { KeySetVector } from './vector-key-sets.ts';
import {
  agreedVectorFile,
  expectedOf,
  type Library as VerifierLibrary,
  vectorFile,
  verdictOf,
} from './vector-verdict.ts';

/** What all vectors need from the library, or from a mutant of it. */
export type Library = VerifierLibrary &
  typeof current & { problemForError: typeof problemForError; BodyTooLarge: typeof BodyTooLarge };

/** One vector of any kind. */
export type Check = Readonly<{ name: string; isPassedBy(library: Library): boolean | Promise<boolean> }>;

/** The kids under which a service would use a key of this set. */
export async function usableKidsOf({ staticGatewayKeys }: Pick<Library, 'staticGatewayKeys'>, jwks: unknown) {
  const entries = (jwks as { keys?: unknown } | null)?.keys;
  const kids = new Set((Array.isArray(entries) ? entries : []).map((entry) => String(entry?.kid)));
  try {
    const keys = staticGatewayKeys(jwks as { keys: unknown[] });
    const found = await Promise.all([...kids].map(async (kid) => ((await keys.lookup(kid)) ? [kid] : [])));
    return found.flat();
  } catch {
    return [];
  }
}

/** The response of a service, in the form of a vector. */
export function answerOf(library: Library, { request: { target, headers }, cause }: AnswerVector): unknown {
  const error =
    'refused' in cause
      ? new library.IdentityRefused(cause.refused as current.RefusalReason)
      : 'unavailable' in cause
        ? new library.IdentityUnavailable('', { reason: cause.unavailable as current.UnavailableReason })
        : new library.BodyTooLarge();
  const ids = headers.filter(([name]) => name === 'x-request-id').map(([, value]) => value);
  const answer = library.problemForError(error, { target, requestId: ids.join(', ') });
  const { title: _title, ...body } = JSON.parse(answer?.body ?? '{}');
  const { 'x-request-id': id, ...others } = answer?.headers ?? {};
  if (body.request_id !== id) return undefined;
  if (ids[0] === id) return { status: answer?.status, headers: { ...others, 'x-request-id': id }, body };
  const { request_id: _new, ...rest } = body;
  return { status: answer?.status, headers: others, body: rest };
}

const usableIn = ({ agreementKeysIn }: Library) => agreementKeysIn(agreedVectorFile.keys.jwks)?.map(({ kid }) => kid);
const keySets: readonly KeySetVector[] = vectorFile.key_sets;
const answers: readonly AnswerVector[] = vectorFile.answers;

/** Every vector of vectors.json, agreed-vectors.json and nested-vectors.json. */
export const checks: readonly Check[] = [
  {
    name: 'the usable keys for agreement',
    isPassedBy: (library) => isDeepStrictEqual(usableIn(library), agreedVectorFile.usable),
  },
  ...[vectorFile, agreedVectorFile].flatMap((file) =>
    file.vectors.map((vector) => ({
      name: vector.name,
      isPassedBy: async (library: Library) =>
        isDeepStrictEqual(await verdictOf(library, vector, file), expectedOf(vector)),
    })),
  ),
  ...nestedVectorFile.vectors.map((vector) => ({
    name: `nested: ${vector.name}`,
    isPassedBy: async (library: Library) =>
      isDeepStrictEqual(await nestedVerdictOf(library, vector), vector.call ?? vector.refused),
  })),
  ...keySets.map(({ name, jwks, usable }) => ({
    name: `key set: ${name}`,
    isPassedBy: async (library: Library) => isDeepStrictEqual(await usableKidsOf(library, jwks), usable),
  })),
  ...answers.map((vector) => ({
    name: `answer: ${vector.name}`,
    isPassedBy: (library: Library) => isDeepStrictEqual(answerOf(library, vector), vector.answer),
  })),
];
