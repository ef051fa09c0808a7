import type { Answer } from '@countersign/console';
import { printable } from '@countersign/process-kit';
import { ZodError } from 'zod';
import type { GatewayConfig } from '../config/config.ts';
import { type ExplainQuestion, explainQuestion, optionProblem } from '../explain/question.ts';
import { type Command, configOption, jsonOption, loadNamed, type Terminal, UsageError } from './command.ts';
import { adminUrl, askIdentities } from './keys.ts';
import { jsonText } from './report.ts';
import { keysOpener, readToken, tokenLines } from './token.ts';

export const explain: Command = {
  name: 'explain',
  usage: 'METHOD PATH',
  summary: 'show how the gateway would handle a request: route, rules, limits, upstream and headers',
  options: [
    configOption,
    ['--role ROLE', 'give the caller a valid token with this role; default: no token'],
    ['--tenant ID', "the token's tenant; default for a user: example-tenant"],
    ['--user ID', "the token's user; default with --role: example-user"],
    ['--client ID', 'the OAuth client that calls for itself; with --user, the one that the user logged in with'],
    ['--scope SCOPE', 'a scope in the token; can be repeated', 'repeats'],
    ['--actor SUB', 'the actor in the token; write "ISSUER SUB" if another issuer named it'],
    ['--claim "N: V"', 'another claim in the token; can be repeated', 'repeats'],
    ['--issuer ISSUER', "the token's issuer, by its URL or name; default: the first issuer"],
    ['--bound', 'bind the token to a key (DPoP) and assume a valid proof'],
    ['--token FILE', 'verify the token in this file and use it; - reads standard input'],
    ['--payload JSON', "the token's claims as the issuer writes them; claims that every token has are filled in"],
    ['--service NAME', 'call the internal listener as this service'],
    ['-H, --header "N: V"', 'add a request header; can be repeated', 'repeats'],
    jsonOption,
  ],
  async run(terminal, values, [method, path, ...more]) {
    if (method === undefined || path === undefined) throw new UsageError('METHOD and PATH are required');
    if (more.length > 0) throw new UsageError('too many arguments: quote the path');
    const empty = Object.keys(values).find((name) => values[name] === '');
    if (empty !== undefined) throw new UsageError(`--${empty} must not be empty`);
    const { header: headers, claim: claims, ...options } = values;
    try {
      const asked = explainQuestion.parse({ method, path, headers, claims, ...options });
      const answer = await answerFor(asked, loadNamed(terminal, values), terminal);
      const { token } = answer;
      const isRefused = token?.issuers.some(({ accepted }) => accepted) === false;
      const lines = isRefused ? tokenLines(token, terminal, false) : linesOf(shown(answer), terminal);
      for (const line of values.json === true ? [jsonText(answer)] : lines) terminal.out(line);
      return isRefused ? 1 : 0;
    } catch (error) {
      if (error instanceof ZodError) throw new UsageError(optionProblem(error));
      throw error;
    }
  },
};

async function answerFor(
  { token: file, ...asked }: ExplainQuestion,
  config: GatewayConfig,
  terminal: Terminal,
): Promise<Answer> {
  const token = file === undefined ? undefined : readToken(file);
  // Imported here, so that the other commands start faster.
  const { explain: answer } = await import('../explain/answer.ts');
  return answer(
    { ...asked, token },
    {
      config,
      nowMs: terminal.nowMs(),
      openIssuer: token === undefined ? undefined : await keysOpener(config, terminal),
      async signedNow({ name }) {
        const now = (await askIdentities(config))?.get(name);
        if (now === undefined) return `unknown: no gateway answers at ${adminUrl(config)}`;
        return now.uses === 'agreed' ? `agreed ${now.keyid}` : `${now.uses}, because of ${now.fallback}`;
      },
    },
  );
}

/** Escapes every text before it is painted: paths, names and values can come from anyone. */
const shown = (answer: Answer): Answer =>
  JSON.parse(JSON.stringify(answer), (_key, value: unknown) => (typeof value === 'string' ? printable(value) : value));

function linesOf(answer: Answer, terminal: Terminal): readonly string[] {
  const { method, path, caller, outcome, responds } = answer;
  const lines = [`${terminal.paint('strong', `${method} ${path}`)} as ${caller}`, ''];
  if (outcome.status !== null && outcome.code === null) {
    lines.push(row('answer', `${terminal.paint('good', String(outcome.status))} from the gateway`));
    return [...lines, ...responds.map(([name, value]) => row('', `${name}: ${value}`))];
  }
  return [...lines, ...settingLines(answer, terminal), ...outcomeLines(answer, terminal)];
}

function settingLines({ outcome, route, settings, stages }: Answer, terminal: Terminal): readonly string[] {
  const isMatched = stages.some(({ stage, verdict }) => stage === 'match' && verdict !== 'not reached');
  if (settings === null)
    return isMatched ? [row('route', `none${outcome.why === null ? '' : `: ${outcome.why}`}`)] : [];
  const rules = stages.flatMap((stage) => stage.rules);
  return [
    row('route', `${route}  ${settings.path}`),
    ...settings.inherited.map((keys) => row('', keys)),
    ...rules.map(({ rule, refusal, why }) => {
      const verdict = refusal === null ? terminal.paint('good', 'holds') : terminal.paint('bad', refusal);
      return row('rule', `${rule}  ${verdict}${quiet(why, terminal)}`);
    }),
    ...settings.limits.map((limit) => row('limit', limit)),
    row('body', settings.body),
    ...(settings.websocket ? [row('upgrade', 'websocket')] : []),
    ...(settings.cors === null
      ? []
      : [row('cors', `handled by the gateway, including preflights, for ${settings.cors.join(' ')}`)]),
  ];
}

function outcomeLines({ outcome, stages, settings, upstream, sends, dropped }: Answer, terminal: Terminal) {
  const { status, code, why, allow } = outcome;
  if (upstream === null || sends === null) {
    const refusing = stages.find(({ verdict }) => verdict === 'refuses');
    // The rule's or the route's line already shows the reason.
    const isSaid = refusing?.rules.length || (refusing?.stage === 'match' && settings === null);
    return [
      row('answer', `${terminal.paint('bad', `${status} ${code}`)}${isSaid ? '' : quiet(why, terminal)}`),
      ...(allow === null ? [] : [row('', `allow: ${allow.join(', ')}`)]),
    ];
  }
  const { name, targets, handling, signing, identity_token: token, signed_now: signedNow } = upstream;
  return [
    row('upstream', `${name}  ${targets.join(' ')}`),
    ...[handling, signing, token, signedNow && `now: ${signedNow}`].flatMap((line) =>
      line === null ? [] : [row('', line)],
    ),
    row('sends', `${sends.method} ${sends.target}`),
    ...sends.headers.map(([header, value]) => row('', `${header}: ${value}`)),
    ...dropped.map((one) => row('drops', `${terminal.paint('bad', one.name)}${quiet(one.why, terminal)}`)),
    row('answer', terminal.paint('good', 'from the upstream')),
  ];
}

const quiet = (words: string | null, terminal: Terminal) => (words ? `  ${terminal.paint('quiet', `(${words})`)}` : '');

const row = (label: string, value: string) => `  ${label.padEnd(9)} ${value}`;
