import { z } from 'zod';
import type { Code } from '../../errors.ts';
import type { Explanation } from '../../explain/explanation.ts';

const verdict = z.object({ rule: z.string(), refusal: z.string().nullable(), why: z.string() });

export const stage = z.object({
  stage: z.string(),
  verdict: z.enum(['passes', 'refuses', 'answers', 'fails now', 'not reached']),
  notes: z.array(z.string()),
  rules: z.array(verdict),
});
type Stage = z.output<typeof stage>;

/** The stages in order, each with the names of the functions that belong to it. */
const stages: readonly Readonly<{ stage: string; functions: readonly string[] }>[] = [
  { stage: 'sanitize', functions: ['parser', 'sanitize'] },
  { stage: 'own answers', functions: ['answerItself', 'checkOrigin'] },
  { stage: 'match', functions: ['match'] },
  { stage: 'authenticate', functions: ['authenticate'] },
  { stage: 'authorize', functions: ['authorize'] },
  { stage: 'limit', functions: ['limit'] },
  { stage: 'sign', functions: ['sign'] },
  { stage: 'forward', functions: ['admitUpload', 'admitSocket'] },
];

/**
 * Each stage with its verdict.
 *
 * @param tokenRefusal Set if authenticate refuses the token.
 * @param warning Why forward would fail now.
 */
export function stagesOf(
  explanation: Explanation,
  tokenRefusal: Readonly<{ code: Code; why: string }> | undefined,
  warning: string | undefined,
): Stage[] {
  const { answer: refused, answered: ownAnswer } = explanation;
  const refusal = tokenRefusal ?? refused;
  const ending =
    tokenRefusal !== undefined ? 'authenticate' : ownAnswer !== undefined ? 'answerItself' : refused?.stage;
  const endsAt = ending === undefined ? stages.length : stages.findIndex(({ functions }) => functions.includes(ending));
  return stages.map(({ stage: name }, at) => {
    if (at > endsAt) return { stage: name, verdict: 'not reached', notes: [], rules: [] };
    const ends = at === endsAt;
    const fails = name === 'forward' && !ends && warning !== undefined;
    const outcome = fails ? 'fails now' : !ends ? 'passes' : ownAnswer === undefined ? 'refuses' : 'answers';
    // The rules already show the reason.
    const rulesShowReason = name === 'authorize' && explanation.rules.length > 0;
    const why =
      ends && refusal !== undefined && !rulesShowReason
        ? [`${refusal.code}${refusal.why ? `: ${refusal.why}` : ''}`]
        : [];
    return {
      stage: name,
      verdict: outcome,
      notes: [...why, ...(fails ? [warning] : []), ...notesOf(name, explanation)],
      rules: rulesOf(name, explanation),
    };
  });
}

function rulesOf(name: string, { rules }: Explanation): Stage['rules'] {
  if (name !== 'authorize') return [];
  return rules.map(({ rule, refusal, why }) => ({ rule, refusal: refusal ?? null, why }));
}

function notesOf(
  name: string,
  { route, dropped, limits, cors, answer: refusal, upstream, body, websocket }: Explanation,
): string[] {
  switch (name) {
    case 'sanitize':
      return dropped.map(({ name, why }) => `drops ${name}${why === '' ? '' : `: ${why}`}`);
    case 'own answers':
      return cors === undefined ? [] : [`CORS for ${cors.join(', ')}`];
    case 'match':
      if (route !== undefined) return [`route ${route.name}, ${route.path}${websocket ? ', WebSocket' : ''}`];
      return refusal?.allow === undefined ? [] : [`allowed here: ${refusal.allow.join(', ')}`];
    case 'limit':
      return [...limits.map((limit) => `${limit}; not counted here`), ...(body === undefined ? [] : [`body: ${body}`])];
    case 'sign':
      return upstream?.identity === undefined ? [] : [upstream.identity];
    case 'forward':
      return upstream === undefined ? [] : [`${upstream.name}: ${upstream.targets.join(', ')}`, upstream.handling];
    default:
      return [];
  }
}
