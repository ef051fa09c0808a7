import type { GatewayConfig, Limit, Route, Upstream } from '../config/config.ts';
import { type Code, errorTable } from '../errors.ts';
import type { Verdict } from '../routing/policy.ts';
import { createDryRun, type Question } from './dry-run.ts';
import type { AcceptedToken, Header } from './example-request.ts';
import { sentHeaders } from './sent-headers.ts';

/** How the gateway would handle a request, step by step, according to the configuration. */
export type Explanation = Readonly<{
  /** Undefined when no route serves the request. `answer` has the reason. */
  route: Pick<Route, 'name' | 'path'> | undefined;
  rules: readonly Verdict[];
  /** The route's rate limits as text. */
  limits: readonly string[];
  body: string | undefined;
  websocket: boolean;
  cors: readonly string[] | undefined;
  /** The gateway's refusal. Undefined when the request is forwarded, or when the gateway answers it itself. */
  answer:
    | Readonly<{
        status: number;
        code: Code;
        why: string | undefined;
        allow: readonly string[] | undefined;
        /** The stage that refuses, by its name in `Stages`; `parser` before them. */
        stage: string;
      }>
    | undefined;
  /** The status and headers of the gateway's own response, to a CORS preflight, `OPTIONS *` or a request for metadata. */
  status: number | undefined;
  answered: readonly Header[] | undefined;
  /** `identity` is set where the running gateway decides how it signs: see `algorithm: agreed`. */
  upstream:
    | Readonly<{ name: string; targets: readonly string[]; handling: string; identity: string | undefined }>
    | undefined;
  sends: Readonly<{ method: string; target: string; headers: readonly Header[] }> | undefined;
  dropped: readonly Readonly<{ name: string; why: string }>[];
}>;

/**
 * Runs the code that serves requests: the decider for route and rules, and the stages for the headers. Does not count limits.
 *
 * @param accepted The caller's token, if its claims are known. Default: invented claims.
 */
export async function explainRequest(
  config: GatewayConfig,
  question: Question,
  headers: readonly Header[],
  nowMs: number,
  accepted?: AcceptedToken,
): Promise<Explanation> {
  const { route, verdicts, refusal, why, allow, path, query } = createDryRun(config)(question);
  const known = {
    route: route && { name: route.name, path: route.path },
    rules: verdicts,
    limits: route?.limits.map(limitText) ?? [],
    body: route && bodyText(route),
    websocket: route?.websocket === true,
    cors: route === undefined || route.auth === 'service' ? undefined : config.cors?.origins,
    answer: undefined,
    status: undefined,
    answered: undefined,
    upstream: undefined,
    sends: undefined,
    dropped: [],
  };
  // Runs even if a rule refuses, because a stage before the rules may refuse a header.
  const sent = await sentHeaders(config, question, headers, nowMs, accepted);
  if ('refusal' in sent) {
    const code = sent.refusal;
    return {
      ...known,
      answer: {
        status: errorTable[code].status,
        code,
        why: code === refusal ? why : sent.why,
        allow: code === refusal ? allow : undefined,
        stage: sent.stage,
      },
    };
  }
  if ('answered' in sent)
    return { ...known, route: undefined, rules: [], status: sent.status, answered: sent.answered };
  if (route === undefined || path === undefined) throw new Error('neither route nor refusal');
  const { upstream } = route;
  return {
    ...known,
    upstream: {
      name: upstream.name,
      targets: upstream.targets,
      handling: handlingOf(route),
      identity: identityOf(upstream),
    },
    sends: { method: question.method, target: path + query, headers: sent.headers },
    dropped: sent.dropped,
  };
}

function identityOf({ identity }: Upstream): string | undefined {
  if (identity.algorithm !== 'agreed') return undefined;
  return 'signed with a key that both sides agree on (hmac-sha256), or with ed25519 while there is none';
}

const limitText = ({ requests, perSec, by, onStoreFailure }: Limit): string =>
  `${requests} in ${perSec} s by ${by}${onStoreFailure === 'deny' ? '; 503 while Redis is gone' : ''}`;

const bodyText = ({ body }: Route): string =>
  body.mode === 'none' ? 'none' : `${body.mode}, at most ${body.maxBytes} bytes`;

function handlingOf({ upstream: { timeouts, retry, breaker } }: Route): string {
  const { connectMs, responseMs, idleMs } = timeouts;
  const parts = [`connect ${connectMs} ms, response ${responseMs} ms, idle ${idleMs} ms`];
  if (retry.attempts > 0)
    parts.push(`${retry.attempts} more ${retry.attempts === 1 ? 'attempt' : 'attempts'} where it is safe`);
  if (breaker !== undefined) parts.push('a circuit breaker');
  return parts.join('; ');
}
