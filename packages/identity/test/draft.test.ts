import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseContext } from '../src/contract/context.ts';
import { headerRules } from '../src/contract/contract.ts';
import { isMethod, isPath, isQuery } from '../src/contract/grammar.ts';
import { secretKeyid } from '../src/contract/rfc9421.ts';
import {
  createServiceVerifier,
  memoryReplay,
  refusalReasons,
  secretGatewayKeys,
  staticGatewayKeys,
} from '../src/index.ts';
import { isExempt } from '../src/verify/exempt.ts';
import { compileAbnf } from './abnf.ts';
import { type Message, nowSec, type Pair } from './forge.ts';
import { nestedVectorFile } from './nested-verdict.ts';
import { checks } from './vector-checks.ts';
import { agreedVectorFile, vectorFile } from './vector-verdict.ts';
import { baseOf } from './vectors.ts';
import { deliver, verdictOn, verifierAt } from './verifier.ts';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const page = read('docs/draft-countersign-identity.md');
const blocksOf = (language: string) =>
  Array.from(page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms')), ([, block = '']) => block);

describe('docs/draft-countersign-identity.md: requirements', () => {
  const labels = Array.from(page.matchAll(/\*\*(R\d+-\d+)\.\*\*/g), ([, label = '']) => label);
  // The rows of the algorithm.
  const rows = Array.from(page.matchAll(/^ {4} ?(\d+) {2}\w/gm), ([, row]) => `R9-${row}`);
  const table = page.slice(page.indexOf('| requirement | held by |'), page.indexOf('## Appendix C.'));
  const held = Array.from(table.matchAll(/^\| (R\d+-\d+) \| (.*) \|$/gm), ([, label = '', by = '']) => ({ label, by }));
  const tests = held.flatMap(({ by }) => Array.from(by.matchAll(/test `([^`]+)` "([^"]+)"/g)));
  const probes = held.flatMap(({ by }) => Array.from(by.matchAll(/probe "([^"]+)"/g), ([, name = '']) => name));
  const patternsOf = (by: string) =>
    Array.from(by.replaceAll(/test `[^`]+`/g, '').matchAll(/`([^`]+)`/g), ([, name = '']) => name);
  const matcher = (pattern: string) =>
    new RegExp(
      `^${pattern
        .split('*')
        .map((text) => text.replaceAll(/[^\w ]/g, '\\$&'))
        .join('.*')}$`,
      's',
    );
  const exempt = vectorFile.vectors.filter((vector) => 'exempt' in vector).map(({ name }) => name);
  const names = new Set([...checks.map(({ name }) => name), ...exempt]);

  test('each has one label, and a row that says what holds it', () => {
    expect(rows).toEqual(Array.from({ length: 12 }, (_, at) => `R9-${at + 1}`));
    expect(new Set(labels).size).toBe(labels.length);
    expect([...new Set(held.map(({ label }) => label))].sort()).toEqual([...labels, ...rows].sort());
    for (const { label, by } of held) expect([label, /`|probe/.test(by)]).toEqual([label, true]);
  });

  test('no sentence outside of them uses the words of BCP 14', () => {
    const body = page
      .slice(page.indexOf('## 3.'), page.indexOf('## 22.'))
      .replaceAll(/^<!-- (\w+) -->.*?<!-- \/\1 -->/gms, '');
    const paragraphs = body.split(/\n\n+/).filter((text) => !text.startsWith('```') && !/^ {4}/.test(text));
    const loose = paragraphs.filter(
      (text) => /\b(?:MUST|SHALL|SHOULD|MAY|REQUIRED|RECOMMENDED|OPTIONAL)\b/.test(text) && !/^\*\*R\d/.test(text),
    );
    expect(loose.filter((text) => !/^(?:A verifier MUST execute|Gateway and service MAY agree)/.test(text))).toEqual(
      [],
    );
  });

  test('each named vector exists', () => {
    const patterns = held.flatMap(({ by }) => patternsOf(by));
    expect(patterns.filter((pattern) => ![...names].some((name) => matcher(pattern).test(name)))).toEqual([]);
  });

  test('each vector belongs to a requirement', () => {
    const matchers = held.flatMap(({ by }) => patternsOf(by)).map(matcher);
    expect([...names].filter((name) => !matchers.some((one) => one.test(name)))).toEqual([]);
  });

  test('each named test and probe exists', () => {
    const conformance = read('packages/conformance/src/probes.ts') + read('packages/conformance/src/run.ts');
    expect(probes.filter((name) => !conformance.includes(name))).toEqual([]);
    expect(tests.filter(([, file = '', title = '']) => !read(file).includes(title)).map(([text]) => text)).toEqual([]);
  });

  test('the table of reasons has every reason, with its rows', () => {
    const reasons = Array.from(page.matchAll(/^\| `([a-z_]+)` \| ([\d, ]+) \|/gm), ([, reason = '', at = '']) => [
      reason,
      at,
    ]);
    expect(reasons.map(([reason]) => reason).sort()).toEqual([...refusalReasons].sort());
    const algorithm = page.slice(page.indexOf('    verify(method'), page.indexOf('<!-- /verify -->'));
    const [main = '', cover = ''] = algorithm.split('    cover(hasBody):');
    const used = main
      .split(/^ {4} ?(?=\d+ {2})/m)
      .slice(1)
      .map((row) => {
        const called = /cover\(/.test(row) ? row + cover : row;
        return [
          Number.parseInt(row, 10),
          Array.from(called.matchAll(/refuse ([a-z_]+)/g), ([, reason]) => reason),
        ] as const;
      });
    for (const [reason, at] of reasons)
      expect([reason, at]).toEqual([
        reason,
        used
          .filter(([, in_]) => in_.includes(reason))
          .map(([row]) => row)
          .join(', '),
      ]);
  });
});

describe('docs/draft-countersign-identity.md: ABNF', () => {
  const rule = compileAbnf(blocksOf('abnf').join('\n'));
  const requests = [vectorFile, agreedVectorFile, nestedVectorFile].flatMap(({ vectors }) =>
    vectors.map(({ request }) => request),
  );
  const trimmed = (value: string) => value.replace(/^[ \t]+|[ \t]+$/g, '');
  const valuesOf = (name: string) =>
    new Set(
      requests.flatMap(({ headers }) =>
        headers.filter(([known]) => known.toLowerCase() === name).map(([, value]) => trimmed(value)),
      ),
    );
  const limits: Readonly<Record<string, number>> = {
    'txn-token': 4096,
    'content-type': 1024,
    'signature-input': 1024,
    'x-identity-context': 2048,
  };
  const fits = (name: string, value: string) => value.length <= (limits[name] ?? 16_384) && rule(name).test(value);

  test.each(headerRules.map(({ name, grammar }) => [name, grammar] as const))(
    'decides about every %s of the vectors as the code',
    (name, grammar) => {
      const kinds = ['user', 'client', 'anonymous', 'service', 'gateway'];
      const isValid = (value: string) =>
        name === 'x-identity'
          ? kinds.includes(value)
          : name === 'x-identity-context'
            ? isContext(value)
            : grammar.matches(value);
      const values = [...valuesOf(name)];
      expect(values.length).toBeGreaterThan(name === 'sec-websocket-key' ? 3 : 4);
      expect(values.filter((value) => fits(name, value) !== isValid(value))).toEqual([]);
    },
  );

  // What ABNF cannot say: a member or an item twice.
  const isContext = (value: string) => {
    const isTwice = /\b([a-z-]+)=.*, *\1=/.test(value) || /(?:scope|roles)=\([^)]*("[^"]*")[^)]* \1/.test(value);
    return isTwice ? fits('x-identity-context', value) : value.length <= 2048 && parseContext(value) !== undefined;
  };

  test('decides about every method, path, query and exempt path of the vectors as the code', () => {
    for (const { method, target } of requests) {
      const [path = '', query = ''] = target.split(/(?=\?)(.*)/s, 2);
      const isDotted = /\/(?:;|%3b)|\/(?:\.|%2e){1,2}(?:\/|;|%3b|$)/i.test(path);
      expect([method, fits('method', method)]).toEqual([method, isMethod(method)]);
      if (!isDotted) expect([path, fits('path', path)]).toEqual([path, isPath(path)]);
      expect([query, fits('query', query)]).toEqual([query, isQuery(query)]);
      expect([path, path.length <= 256 && rule('exempt-path').test(path)]).toEqual([path, isExempt('GET', target)]);
    }
  });
});

describe('docs/draft-countersign-identity.md: examples', () => {
  // RFC 8792 section 7.2.2.
  const unfolded = (block: string) =>
    block
      .replace(/^NOTE: .*\n\n/, '')
      .replaceAll('\\\n', '')
      .replace(/\n$/, '');
  const messages = blocksOf('http').map((block): Message => {
    const [head = '', body = ''] = unfolded(block).split('\n\n');
    const [line = '', ...lines] = head.split('\n');
    const [method = '', target = ''] = line.split(' ');
    return {
      method,
      target,
      headers: lines.map((text): Pair => [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 2)]),
      body: Buffer.from(body),
    };
  });
  const [user, acting, anonymous, nested] = messages as [Message, Message, Message, Message];
  const { d, ...jwk } = JSON.parse(blocksOf('json').find((block) => block.includes('"d"')) ?? '');
  const secret = Buffer.from(unfolded(blocksOf('text').find((block) => block.includes('uzvJ')) ?? ''));
  const keys = staticGatewayKeys({ keys: [jwk] });
  const secrets = secretGatewayKeys([{ secret }]);

  test('have the keys of RFC 9421 appendix B.1', () => {
    expect(createPublicKey(createPrivateKey({ key: { ...jwk, d }, format: 'jwk' })).export({ format: 'jwk' }).x).toBe(
      jwk.x,
    );
    expect(page).toContain(`its keyid is \`${secretKeyid(secret)}\``);
  });

  test('are accepted by a verifier, once', async () => {
    const verifier = verifierAt(nowSec, { keys });
    expect(await deliver(verifier, user)).toMatchObject({ kind: 'user', userId: 'u-1' });
    expect(await deliver(verifier, acting)).toMatchObject({
      kind: 'service',
      serviceId: 'billing',
      context: { act: { sub: 'client-7' } },
    });
    expect(await deliver(verifierAt(nowSec, { keys: secrets }), anonymous)).toMatchObject({ kind: 'anonymous' });
    expect(await verdictOn(user, verifier)).toBe('replayed');
    expect(page).toContain('x-identity-refused: replayed');
  });

  test('the nested call is accepted by the gateway', async () => {
    const verifier = createServiceVerifier({
      audience: 'countersign-gateway',
      maxLifetimeSec: 30,
      findKey: (keyid) =>
        keyid === jwk.kid
          ? { serviceId: 'complaint-service', publicKey: createPublicKey({ key: jwk, format: 'jwk' }) }
          : undefined,
      replay: memoryReplay({ nowMs: () => 0 }),
      nowMs: () => nowSec * 1000,
    });
    const { method, target, headers, body } = nested;
    const head = verifier.verifyHead({ method, target, rawHeaders: headers.flat() });
    await head.complete(body);
    expect(head.serviceId).toBe('complaint-service');
  });

  test('show the signature bases', () => {
    const shown = blocksOf('text')
      .map(unfolded)
      .filter((block) => block.startsWith('"@method"'));
    expect(shown).toEqual(messages.map(baseOf));
  });
});

test('docs/draft-countersign-identity.md has every section that an Internet-Draft needs', () => {
  const sections = Array.from(page.matchAll(/^## (?:\d+\. |Appendix \w\. )?(.*)$/gm), ([, title = '']) => title);
  expect(sections).toEqual(
    expect.arrayContaining([
      'Abstract',
      'Status of This Memo',
      'Copyright Notice',
      'Table of Contents',
      'Introduction',
      'Conventions and Terminology',
      'Operational Considerations',
      'Security Considerations',
      'Privacy Considerations',
      'IANA Considerations',
      'Implementation Status',
      'References',
      'Acknowledgements',
      "Author's Address",
    ]),
  );
  // Every reference is cited, and every citation is a reference.
  const references = page.slice(page.indexOf('## 22. References'), page.indexOf('## Appendix A.'));
  const listed = Array.from(references.matchAll(/^- \[([A-Z-]+\d*)\]/gm), ([, name = '']) => name);
  const cited = Array.from(
    page.replace(references, '').matchAll(/\[([A-Z]{2,}[A-Z-]*\d*)\](?!\()/g),
    ([, name = '']) => name,
  );
  expect([...new Set(cited)].sort()).toEqual([...listed].sort());
});
