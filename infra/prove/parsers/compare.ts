import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Random } from '../../../packages/http1-client/test/response-fuzz/random.ts';
import { go, goEnv, hasGo, python, pythonEnv, pythonPackage } from '../../stacks/languages.ts';
import { dictionaries, type Facts, type Target, targets, tokenKeys } from './targets.ts';

type Line = readonly [parser: string, text: string];
export type Difference = Readonly<{ target: string; problem: string; text: string; read: object }>;

export const corpusOf = (target: string): readonly string[] =>
  readFileSync(resolve(import.meta.dirname, `corpus/${target}.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** The parsers in Python and Go. A language that is not installed reads nothing. */
export function openReaders() {
  const home = mkdtempSync(join(tmpdir(), 'countersign-parsers-'));
  const binary = join(home, 'identity.test');
  if (hasGo) go('packages/verifiers/go', 'test', '-c', '-o', binary, './identity');
  const run = (command: string, args: readonly string[], lines: readonly Line[], output?: string): Facts[] => {
    const input = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    writeFileSync(join(home, 'given'), input);
    const env = { ...goEnv, ...pythonEnv, TOKEN_KEYS: tokenKeys, PARSERS: join(home, 'given'), PARSED: output };
    const { status, stdout, stderr } = spawnSync(command, args, { input, env, encoding: 'utf8', maxBuffer: 2 ** 30 });
    if (status !== 0) throw new Error(`${command} ended with ${status}: ${stdout}${stderr}`);
    const found = (output === undefined ? stdout : readFileSync(output, 'utf8')).trimEnd().split('\n');
    if (found.length !== lines.length) throw new Error(`${command} read ${found.length} of ${lines.length} inputs`);
    return found.map(factsOf);
  };
  return {
    python:
      python === ''
        ? undefined
        : (lines: readonly Line[]) => run(python, [join(pythonPackage, 'tests/parse_lines.py')], lines),
    go: hasGo
      ? (lines: readonly Line[]) => run(binary, ['-test.run', '^TestParsers$'], lines, join(home, 'parsed'))
      : undefined,
    close: () => rmSync(home, { recursive: true }),
  };
}
export type Readers = ReturnType<typeof openReaders>;

/** Parsers refuse by various errors. */
const factsOrNone = async (read: () => Facts | Promise<Facts>): Promise<Facts> => {
  try {
    return await read();
  } catch {
    return {};
  }
};

function factsOf(line: string): Facts {
  try {
    return JSON.parse(line);
  } catch {
    return { unreadable: line }; // Such as Infinity, which Python writes into JSON.
  }
}

/** One text for each value: members are sorted, and what JSON cannot show, such as -0, does not differ. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  ) ?? '';

/** Parses inputs of one target by all parsers, and returns the differences that no reason explains, by input. */
export async function compare(
  name: string,
  inputs: readonly string[],
  readers: Readers,
): Promise<(Difference | undefined)[]> {
  const target = targets[name] as Target;
  if (inputs.length === 0) return [];
  const read = (language: 'python' | 'go') =>
    target.cookies === undefined ? readers[language]?.(inputs.map((text) => [name, text])) : undefined;
  const others = { python: read('python'), go: read('go') };
  const texts = target.cookies && inputs.map(target.cookies);
  const cookies = texts && readers.python?.(texts.flat().map((text) => ['cookies', text]));
  if (texts !== undefined && cookies === undefined) return [];
  const results: (Difference | undefined)[] = [];
  for (const [index, text] of inputs.entries()) {
    const ours = await factsOrNone(() => target.ours(text));
    const [python, go] = [others.python?.[index], others.go?.[index]];
    const given = cookies?.splice(0, texts?.[index]?.length ?? 0) ?? [];
    const independent = await factsOrNone(() => target.independent(text, given));
    const problem = [python, go].some((other) => other !== undefined && canonical(other) !== canonical(ours))
      ? 'our parsers differ'
      : differenceOf(target, text, ours, independent);
    results.push(
      problem === undefined ? undefined : { target: name, problem, text, read: { ours, python, go, independent } },
    );
  }
  return results;
}

function differenceOf(target: Target, text: string, ours: Facts, independent: Facts): string | undefined {
  for (const [fact, value] of Object.entries(ours)) {
    const isExplained = () => !(fact in independent) && target.looser.some(([, explains]) => explains(text, fact));
    if (canonical(value) !== canonical(independent[fact]) && !isExplained()) return 'the independent parser differs';
  }
  for (const fact of Object.keys(independent)) {
    if (fact in ours || target.stricter.some(([, explains]) => explains(text, fact))) continue;
    return 'only the independent parser accepts it';
  }
  return undefined;
}

/** Returns a shorter input with the same problem: removes pieces as long as the problem stays. */
async function shrink(found: Difference, readers: Readers): Promise<Difference> {
  let least = found;
  for (let size = Math.ceil(found.text.length / 2); size >= 1; ) {
    const { text } = least;
    const starts = Array.from({ length: Math.ceil(text.length / size) }, (_, index) => index * size);
    const shorter = starts.map((at) => text.slice(0, at) + text.slice(at + size));
    const still = (await compare(found.target, shorter, readers)).find((one) => one?.problem === found.problem);
    if (still !== undefined) least = still;
    else size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return least;
}

/** Changes bytes, or tokens such as a quoted string or a name. */
function mutate(random: Random, text: string, other: string, target: string): string {
  const parts = text.split('.');
  if (target === 'jws' && parts.length === 3 && random.chance(70)) {
    const at = random.int(2);
    const json = Buffer.from(parts[at] ?? '', 'base64url').toString('latin1');
    const changed = mutate(random, json, '{"a":[1,{"a":"b"}]}', 'jwks');
    return parts.with(at, Buffer.from(changed, 'latin1').toString('base64url')).join('.');
  }
  let changed = text;
  for (let left = 1 + random.int(3); left > 0; left -= 1) {
    const split = random.chance(50) ? /[\s\S]/g : /"[^"]*"|[\w-]+|[\s\S]/g;
    const pieces = changed.match(split) ?? [];
    const [at, to] = [random.int(pieces.length + 1), random.int(pieces.length + 1)];
    const range = pieces.slice(at, at + 1 + random.int(random.chance(80) ? 3 : 12));
    switch (random.int(7)) {
      case 0:
        pieces.splice(at, range.length);
        break;
      case 1:
        pieces.splice(to, 0, ...range);
        break;
      case 2:
        pieces.splice(at, 0, random.pick(dictionaries[target] as string[]));
        break;
      case 3:
        pieces.splice(at, range.length, random.pick(dictionaries[target] as string[]));
        break;
      case 4:
        pieces.splice(at, 1, String.fromCharCode(random.int(256)));
        break;
      case 5:
        pieces.splice(to, 1, ...range);
        break;
      default:
        pieces.splice(at, pieces.length, ...(other.match(split) ?? []).slice(to));
    }
    changed = pieces.join('');
  }
  return changed;
}

/** Compares mutated inputs for a time. @returns The first difference of each target, minimized, and how many inputs. */
export async function fuzz(seed: number, seconds: number, readers: Readers, only = Object.keys(targets)) {
  const random = new Random(seed);
  const end = performance.now() + seconds * 1000;
  const [differences, counts] = [new Map<string, Difference>(), new Map<string, number>()];
  for (let round = 0; performance.now() < end; round += 1) {
    const name = only[round % only.length] ?? '';
    const seeds = corpusOf(name);
    const isHeader = !['jws', 'jwks'].includes(name);
    const inputs = Array.from({ length: 2_000 }, () => {
      const mutated = mutate(random, random.pick(seeds), random.pick(seeds), name);
      return isHeader ? mutated.replace(/^[ \t]+|[ \t]+$/g, '') : mutated;
    });
    if (differences.has(name)) continue;
    const found = (await compare(name, inputs, readers)).find((one) => one !== undefined);
    counts.set(name, (counts.get(name) ?? 0) + inputs.length);
    if (found !== undefined) differences.set(name, await shrink(found, readers));
  }
  return { differences: [...differences.values()], counts: Object.fromEntries(counts) };
}
