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
  const isReading = (change: SettingChange) =>
    change.class === 'policy' && change.key.startsWith('issuers[') && change.effect === 'changed';
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

/** Refusals that stay refusals share an item for each place. Items that differ only in their routes share one, too. */
function accessItems(changes: readonly AccessChange[], form: Form): readonly (readonly string[])[] {
  const isRefusal = ({ before, after }: AccessChange) =>
    (before?.code ?? null) !== null && (after?.code ?? null) !== null;
  const placeOf = ({ listener, methods, paths }: AccessChange) => JSON.stringify([listener, methods, paths]);
  const refusals = Map.groupBy(changes.filter(isRefusal), placeOf);
  const units = [...changes.filter((change) => !isRefusal(change)).map((change) => [change]), ...refusals.values()];
  const whoIn = (unit: readonly AccessChange[]) => unit.map((change) => callerText(change, form, isRefusal(change)));
  // What is said of both, without what names a route.
  const keyOf = (unit: readonly AccessChange[]) =>
    JSON.stringify([whoIn(unit), unit], (key, value) =>
      /^(?:route|paths|such|conditions|witness)$/.test(key) ? value === null : value,
    );
  return Array.from(Map.groupBy(units, keyOf).values(), (all) => {
    const [alike, who] = [all.flat(), new Set(whoIn(all[0] ?? []))];
    const [first] = alike as [AccessChange];
    const paths = new Set(alike.flatMap((change) => change.paths).map((path) => pathText(path, form)));
    const text = (side: 'before' | 'after') =>
      `${side} ${decisionText(
        alike.map((change) => change[side]),
        form,
      )}`;
    const isOne = first.methods.length === 1 && paths.size === 1;
    return [
      `${first.methods.join(' ')} ${few(paths)}${first.listener === 'internal' ? ' on the internal listener' : ''}`,
      `${isRefusal(first) ? 'still refused: ' : ''}${[...who].join(', ')}`,
      first.why === null ? `${text('before')}; ${text('after')}` : `not compared: ${form.code(first.why)}`,
      `${isOne ? '' : 'one of them: '}${witnessText(first.witness, form)}`,
    ];
  });
}

const maxListed = 6;

function few(all: Iterable<string>): string {
  const texts = [...all];
  const more = texts.length > maxListed ? ` and ${texts.length - maxListed} more` : '';
  return texts.slice(0, maxListed).join(', ') + more;
}

const pathText = ({ path, not }: AccessChange['paths'][number], { code }: Form): string =>
  code(path) + (not.length === 0 || not.length > maxListed ? '' : ` (not ${not.map(code).join(', ')})`);

function callerText(
  { caller: { kind, token, issuer, not = [], services = [], origins = [] }, conditions, such }: AccessChange,
  { code }: Form,
  isShort: boolean,
): string {
  const listed: Listed = (values) => values.map((value) => code(String(value))).join(', ');
  const holder =
    token === 'client' ? 'OAuth clients' : token === 'user' ? 'users' : 'tokens of issuers that no file trusts';
  const except = not.length === 0 ? '' : ` (not ${few(not.map(code))})`;
  const whose = issuer === undefined ? holder : `${holder} of ${code(issuer)}${except}`;
  const who = {
    anonymous: 'anonymous callers',
    token: whose,
    service: `services ${listed(services)}${token === undefined ? '' : ` for ${whose}`}`,
    page: `pages at ${listed(origins)}`,
  }[kind];
  if (isShort) return who;
  // That a token is accepted, and by itself, goes without saying.
  const hasActor = conditions.some(({ is, reads }) => reads === 'actor' && !is.startsWith('absent'));
  const isUsual = ({ is, reads }: Condition) => is === 'not refused' || (reads === 'actor' && !hasActor);
  const told = Map.groupBy(
    conditions.filter((condition) => !isUsual(condition)),
    ({ reads, side }) => `${side} ${reads}`,
  );
  const texts = Array.from(told.values(), (alike) => conditionText(alike, listed));
  return `${who}${texts.length === 0 ? '' : `: ${texts.join('; ')}`}${such.length === 0 ? '' : ` (such as ${few(such.map(code))})`}`;
}

type Listed = (values: readonly unknown[]) => string;

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

/** @param alike All conditions on what one side reads. */
function conditionText(alike: readonly Condition[], listed: Listed): string {
  const { side, reads } = alike[0] as Condition;
  const when = side === 'both' ? '' : ` ${side}`;
  const name = reads.startsWith('claim:') ? `claim ${listed([reads.slice('claim:'.length)])}` : reads;
  const texts = simplified(alike).map(({ is, values: [first, ...more] }) => {
    if (reads === 'tenant') return `is ${is === 'any' ? '' : 'not '}that of the path (${listed([first])})`;
    if (is === 'refused')
      return `${phrases[is]} ${listed([first])}${more.length > 0 ? ` because of ${listed(more)}` : ''}`;
    const phrase =
      more.length > 0 ? phrases[is] : phrases[is].replace('none of', 'not').replace(/ (?:one|all) of$/, '');
    return `${phrase}${first === undefined ? '' : ` ${listed([first, ...more])}`}`;
  });
  return `${reads === 'binding' ? 'binding to a key' : name}${when} ${texts.join(' and ')}`;
}

/** Leaves out values that another condition excludes. A role, a client and an actor have one value. */
function simplified(given: readonly Condition[]): readonly Condition[] {
  const isPresent = given.some(({ is }) => is === 'none' || is === 'present');
  const alike = isPresent
    ? given.map((one) => (one.is === 'absent or any' ? { ...one, is: 'any' as const } : one))
    : given;
  const valuesOf = (is: Condition['is']) => new Set(alike.flatMap((one) => (one.is === is ? one.values : [])));
  const [none, all] = [valuesOf('none'), valuesOf('all')];
  const isSingle = ['role', 'client', 'actor'].includes(alike[0]?.reads ?? '') && alike.some(({ is }) => is === 'any');
  const noneLast = alike.toSorted((a, b) => Number(a.is === 'none') - Number(b.is === 'none'));
  return noneLast.flatMap((one): readonly Condition[] => {
    if (isSingle && (one.is === 'none' || one.is === 'present')) return [];
    const excluded = one.is === 'any' ? none : one.is === 'not all' ? all : undefined;
    return [{ ...one, values: one.values.filter((value) => excluded?.has(value) !== true) }];
  });
}

/** @param decisions The same one by several routes, or refusals. */
function decisionText(decisions: readonly (Decision | null)[], { code }: Form): string {
  const [first = null] = decisions;
  if (first === null) return 'unknown';
  const routes = new Set(decisions.flatMap((one) => one?.route ?? []));
  const by = routes.size === 0 ? '' : ` by route${routes.size > 1 ? 's' : ''} ${few(Array.from(routes, code))}`;
  const refusals = new Set(decisions.flatMap((one) => one?.code ?? []));
  if (refusals.size > 0)
    return `refused${by} (${Array.from(refusals, (one) => `${errorTable[one].status} ${code(one)}`).join(', ')})`;
  return first.caller === 'page' ? 'answered by the gateway' : `allowed${by} as ${first.caller}`;
}

const maxCharacters = 200;

function settingItem({ class: name, key, before, after, witness }: SettingChange, form: Form): readonly string[] {
  const shown = (value: unknown) =>
    value === null ? 'nothing' : form.code(JSON.stringify(value).slice(0, maxCharacters));
  const change = `${shown(before)} becomes ${shown(after)}`;
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
