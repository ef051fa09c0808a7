import { printable } from '@countersign/process-kit';
import { errorTable } from '../errors.ts';
import type { AccessChange, Condition, Decision, DiffReport, Effect, SettingChange, Witness } from './report-schema.ts';

/** How text is shown: on a terminal, or in Markdown. `code` makes any text harmless. */
export type Form = Readonly<{
  heading(text: string): string;
  item(parts: readonly string[]): readonly string[];
  code(text: string): string;
  end: readonly string[];
}>;

export const terminalForm = (strong: (text: string) => string): Form => ({
  heading: (text) => strong(text),
  item: ([first = '', ...more]) => [`  ${first}`, ...more.map((line) => `      ${line}`), ''],
  code: printable,
  end: [],
});

/** Everything but plain characters is an entity, and stands in `<code>`, where `@` and `#` mean nothing. */
export const markdownForm: Form = {
  end: [''],
  heading: (text) => `### ${text}\n`,
  item: ([first = '', ...more]) => [`- ${first}`, ...more.map((line) => `  <br>${line}`)],
  code: (text) =>
    `<code>${printable(text).replace(/[^A-Za-z0-9 ./-]/gu, (character) => `&#${character.codePointAt(0)};`)}</code>`,
};

const titles: readonly (readonly [Effect, string])[] = [
  ['wider', 'Wider: who gains'],
  ['unknown', 'Unknown, which counts as wider'],
  ['narrower', 'Narrower: who loses'],
  ['changed', 'Changed'],
];

/** Writes who gains and who loses, where, and a request for each class that shows it. */
export function linesOf(
  { access, settings, notCompared: { variables, files } }: DiffReport,
  form: Form,
): readonly string[] {
  const section = (title: string, items: readonly (readonly string[])[]) =>
    items.length === 0 ? [] : [form.heading(title), ...items.flatMap(form.item), ...form.end];
  const isReading = (change: SettingChange) => change.class === 'policy' && change.effect === 'changed';
  const [reading, others] = [settings.filter(isReading), settings.filter((change) => !isReading(change))];
  const items = (changes: readonly SettingChange[]) => changes.map((change) => settingItem(change, form));
  const lines = [
    // It explains the rest.
    ...section('Changed reading of tokens', items(reading)),
    ...titles.flatMap(([effect, title]) => {
      const isOwn = (change: AccessChange | SettingChange) => change.effect === effect;
      return section(title, [...items(others.filter(isOwn)), ...accessItems(access.filter(isOwn), form)]);
    }),
  ];
  const unread = [...variables.map((name) => `\${${name}}`), ...files].map(form.code);
  const rest = lines.length === 0 ? 'Both files decide alike.' : 'What is not listed is decided as before.';
  const notCompared = unread.length === 0 ? [] : [`Not opened, so not compared: ${unread.join(', ')}`];
  return [...lines, rest, ...notCompared];
}

/** Refusals that are still refusals share one item for each place. */
function accessItems(changes: readonly AccessChange[], form: Form): readonly (readonly string[])[] {
  const isRefusal = ({ before, after }: AccessChange) =>
    before !== null && before.code !== null && after?.code !== null;
  const refusals = Map.groupBy(changes.filter(isRefusal), (change) => placeText(change, form));
  const others = changes.filter((change) => !isRefusal(change));
  return [
    ...others.map((change) => [
      placeText(change, form),
      callerText(change, form),
      change.why === null ? decisionsText(change, form) : `not compared: ${form.code(change.why)}`,
      witnessText(change.witness, form),
    ]),
    ...Array.from(refusals, ([place, all]) => [
      place,
      `still refused: before ${refusalsText(
        all.map(({ before }) => before),
        form,
      )}; after ${refusalsText(
        all.map(({ after }) => after),
        form,
      )}`,
      witnessText(all[0]?.witness as Witness, form),
    ]),
  ];
}

const refusalsText = (decisions: readonly (Decision | null)[], { code }: Form): string =>
  [...new Set(decisions.map((one) => one?.code ?? 'no_route'))]
    .map((one) => `${errorTable[one].status} ${code(one)}`)
    .join(', ');

const maxPaths = 6;

function placeText({ listener, methods, paths }: AccessChange, { code }: Form): string {
  const texts = paths.map(
    ({ path, not }) =>
      code(path) + (not.length === 0 || not.length > maxPaths ? '' : ` (not ${not.map(code).join(', ')})`),
  );
  const shown =
    texts.slice(0, maxPaths).join(', ') + (texts.length > maxPaths ? ` and ${texts.length - maxPaths} more` : '');
  return `${methods.join(' ')} ${shown}${listener === 'internal' ? ' on the internal listener' : ''}`;
}

function callerText(
  { caller: { kind, token, issuer, services = [], origins = [] }, conditions, such }: AccessChange,
  { code }: Form,
): string {
  const listed = (values: readonly unknown[]) => values.map((value) => code(String(value))).join(', ');
  const holder =
    token === 'client' ? 'OAuth clients' : token === 'user' ? 'users' : 'tokens of issuers that no file trusts';
  const whose = issuer === undefined ? holder : `${holder} of ${code(issuer)}`;
  const who = {
    anonymous: 'anonymous callers',
    token: whose,
    service: `services ${listed(services)}${token === undefined ? '' : ` for ${whose}`}`,
    page: `pages at ${listed(origins)}`,
  }[kind];
  const whole = told(conditions).map((condition) => conditionText(condition, listed));
  const examples = such.length === 0 ? '' : ` (such as ${such.slice(0, maxPaths).map(code).join(', ')})`;
  return `${who}${whole.length === 0 ? '' : `: ${whole.join('; ')}`}${examples}`;
}

/** Without what goes without saying: that the token is accepted, and by itself. A role is said once. */
function told(conditions: readonly Condition[]): readonly Condition[] {
  const isUsual = ({ is, reads }: Condition) => is === 'not refused' || (reads === 'actor' && is.startsWith('absent'));
  const isSame = (one: Condition, other: Condition) => one.reads === other.reads && one.side === other.side;
  const isOne = ({ reads }: Condition) => reads === 'role' || reads === 'client';
  const ones = conditions.filter((condition) => isOne(condition) && condition.is === 'any');
  const others = conditions.filter((condition) => isOne(condition) && condition.is === 'none');
  return conditions.flatMap((condition): readonly Condition[] => {
    if (isUsual(condition) || (others.includes(condition) && ones.some((one) => isSame(one, condition)))) return [];
    if (!ones.includes(condition)) return [condition];
    const excluded = new Set(others.filter((other) => isSame(other, condition)).flatMap(({ values }) => values));
    return [{ ...condition, values: condition.values.filter((value) => !excluded.has(value)) }];
  });
}

const phrases: Readonly<Record<Condition['is'], string>> = {
  any: 'is one of',
  none: 'is none of',
  all: 'contain all of',
  'not all': 'lack one of',
  present: 'is present',
  absent: 'is absent',
  'absent or any': 'is absent or one of',
  refused: 'is refused with',
  'not refused': 'is not refused with',
};

function conditionText({ side, reads, is, values }: Condition, listed: (values: readonly unknown[]) => string): string {
  const what = reads.startsWith('claim:')
    ? `claim ${listed([reads.slice('claim:'.length)])}`
    : reads === 'binding'
      ? 'binding to a key'
      : reads;
  const when = side === 'before' || side === 'after' ? ` ${side}` : '';
  if (reads === 'tenant')
    return `tenant${when} is ${is === 'any' ? 'that' : 'not that'} of the path (${listed(values)})`;
  if (is === 'refused')
    return `token${when} is refused with ${listed(values.slice(0, 1))}${values.length > 1 ? ` because of ${listed(values.slice(1))}` : ''}`;
  return `${what}${when} ${phrases[is]}${values.length === 0 ? '' : ` ${listed(values)}`}`;
}

const decisionsText = ({ before, after }: AccessChange, form: Form): string =>
  `before ${decisionText(before, form)}; after ${decisionText(after, form)}`;

function decisionText(decision: Decision | null, { code }: Form): string {
  if (decision === null) return 'unknown';
  const { route, code: refusal, caller } = decision;
  const by = route === null ? '' : ` by route ${code(route)}`;
  if (refusal !== null) return `refused${by} (${errorTable[refusal].status} ${code(refusal)})`;
  return caller === 'page' ? 'answered by the gateway' : `allowed${by} as ${caller}`;
}

const maxShown = 200;

function settingItem({ class: name, key, before, after, witness }: SettingChange, form: Form): readonly string[] {
  const shown = (value: unknown) =>
    value === null ? 'nothing' : form.code((JSON.stringify(value) ?? '').slice(0, maxShown));
  const change = before === null && after === null ? 'another value' : `${shown(before)} becomes ${shown(after)}`;
  return [`${name}: ${form.code(key)}`, change, ...(witness === null ? [] : [witnessText(witness, form)])];
}

const quoted = (text: string): string => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** The command that shows a decision. Paste it, and add `--config OLD` or `--config NEW`. */
function witnessText({ method, path, headers = [], payload, service }: Witness, { code }: Form): string {
  const options = [
    ...headers.map((header) => `-H ${quoted(header)}`),
    ...(payload === undefined ? [] : [`--payload ${quoted(payload)}`]),
    ...(service === undefined ? [] : [`--service ${quoted(service)}`]),
  ];
  return code(['countersign explain', method, quoted(path), ...options].join(' '));
}
