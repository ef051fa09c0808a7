import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

export type Rule = 'long line' | 'long cell' | 'riddle' | 'private member' | 'wide trim' | 'no such path';
export type StyleProblem = Readonly<{ line: number; rule: Rule; text: string }>;

const maxColumns = 120;
const maxCellWords = 25;

/** Sentence subjects that do not name a person or thing, except the Unix account `user nobody`. */
const riddle =
  /\b(?:who(?:ever| (?:comes|asks|wants|has|is|goes|knows|brings))|(?<!`user )(?:no|some|any)body|what is[ ]no)\b/i;

/** A member that its library does not document: a leading underscore, or a symbol of a foreign object. */
const privateMember =
  /\.(?:_[a-zA-Z]\w*|symbols\.\w+)\b|\[(?:\w+\.)?k[A-Z]\w*\]|\['_\w+'\]|, '_\w+'\)|getOwnPropertySymbols|'internalMessage'/;
const isTest = /\.test\.ts$|_test\.go$|(?:^|\/)test\/|^infra\/(?:measure|tools\/ci|prove\/e2e)\//;

/**
 * Takes more than the spaces and tabs that HTTP allows around a value, such as U+00A0 (RFC 9110 section 5.6.3): `trim` and
 * `\s` in TypeScript, `strip()`, `split()` and `\s` in Python, `TrimSpace` and `Fields` in Go. Use `trimOws`.
 */
const wideTrim =
  /\btrim(?:Start|End|Left|Right)?\b|\\s(?!\\S)|\.[lr]?strip\(\)|\.split\(\)|\b(?:strings|bytes|unicode)\.(?:TrimSpace|Fields|IsSpace)\b/;

const comment = /^\s*(?:\*|\/\*\*|\/\/|#).*|\s\/\/ .*/;

/** Every file that can read bytes of the wire. */
const onTheWire =
  /^(?:gateway|(?:auth|users|complaint)-service|packages\/(?!testing)[\w-]+)\/src\/|^packages\/verifiers\/(?:python\/src|go)\//;

/** Of those, the files that trim only text of people: in forms, files, commands and the environment. */
const textOfPeople = new RegExp(
  `^(?:${[
    'gateway/src/(?:cli|config|explain)/',
    'gateway/src/admin/api/admin-api.ts', // An operator's search.
    'gateway/src/keys/key-files.ts',
    'packages/(?:console|strict-yaml)/src/',
    'packages/conformance/src/(?:renew|vectors).ts',
    'packages/process-kit/src/process/(?:config|log-text).ts',
    'packages/service-kit/src/http/fields.ts', // zod, for fields of JSON and forms.
    'packages/tracing/src/active-trace.ts', // SQL.
    'auth-service/src/(?:config|operator/commands|domain/keys/key-ring|domain/second-factor/totp).ts',
    'auth-service/src/routes/pages/(?:login-pages|account/own-pages).ts',
    'complaint-service/src/outgoing/webhook-master.ts',
    'complaint-service/src/domain/(?:attachments/file-types|catalogue/category-name|export/csv|mail/quote).ts',
  ].join('|')})`,
);

/** A path in infra/ that a page, a script or a comment names. A placeholder such as `infra/…` is none. */
const infraPath = /(?<![\w./-])infra(?:\/[\w.-]*[\w-])+/g;

/** Commands create these files, and git ignores them. */
const created = /^infra\/(?:secrets|\.env)\b|\/(?:prepared|node_modules)\b/;

/**
 * Returns the style problems of one file. TypeScript is checked for unclear sentence subjects, and outside tests for
 * private members of Node and of libraries, which can change at a minor release. Files that read bytes of the wire are
 * checked for functions that trim more than HTTP allows. Markdown is also checked for lines over 120 columns, outside
 * tables, code and lines with a URL, and for table cells over 25 words. Every path in infra/ must exist.
 *
 * @param exists Whether the repository has a file or folder whose path is this, or this and an extension.
 */
export function styleProblems(
  file: string,
  text: string,
  exists: (path: string) => boolean = () => true,
): StyleProblem[] {
  const found: StyleProblem[] = [];
  const mustTrimExactly = onTheWire.test(file) && !isTest.test(file) && !textOfPeople.test(file);
  let isCode = false;
  text.split('\n').forEach((content, index) => {
    const add = (rule: Rule, shown: string) => found.push({ line: index + 1, rule, text: shown.trim().slice(0, 100) });
    if (/\.(?:ts|md)$/.test(file) && riddle.test(content)) add('riddle', content);
    if (file.endsWith('.ts') && !isTest.test(file) && privateMember.test(content)) add('private member', content);
    for (const [path] of content.matchAll(infraPath))
      if (!created.test(path) && !exists(path)) add('no such path', path);
    if (mustTrimExactly && wideTrim.test(content.replace(comment, ''))) add('wide trim', content);
    if (!file.endsWith('.md')) return;
    if (content.startsWith('```')) isCode = !isCode;
    if (isCode || content.startsWith('    ')) return;
    if (content.startsWith('|')) {
      for (const cell of content.split(/(?<!\\)\|/))
        if (cell.trim().split(/\s+/).length > maxCellWords) add('long cell', cell);
    } else if (content.length > maxColumns && !/https?:/.test(content)) add('long line', content);
  });
  return found;
}

// `npm run style`, a part of `npm run check`: checks the style of comments, test titles and pages.
if (import.meta.main) {
  const root = resolve(import.meta.dirname, '../../..');
  const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  const checked = /\.(?:ts|js|md|py|go|sh|hcl|ya?ml)$|^(?:\.(?!gitignore)|[a-z-]+\.js(?:on)?$)|Dockerfile$/;
  const exists = (path: string) =>
    tracked.some((file) => file === path || file.startsWith(`${path}/`) || file.startsWith(`${path}.`));

  for (const file of tracked.filter((name) => checked.test(name))) {
    for (const { line, rule, text } of styleProblems(file, readFileSync(resolve(root, file), 'utf8'), exists)) {
      process.stdout.write(`${file}:${line}: ${rule}: ${text}\n`);
      process.exitCode = 1;
    }
  }
}
