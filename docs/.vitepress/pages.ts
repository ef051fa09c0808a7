import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, resolve } from 'node:path';
import { namesAreHeld, shownParts } from '../../infra/tools/docs/names.ts';

type Page = Readonly<{ file: string; text: string }>;
const root = resolve(import.meta.dirname, '../..');
const repository = 'https://github.com/countersign/countersign';
/** With NAMES_ARE_HELD=1, pages show how to install by name, to rehearse it with a local registry. */
const held = namesAreHeld || process.env.NAMES_ARE_HELD === '1';
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const files = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) =>
    /^(?:docs\/.*|[A-Z]+|(?:[\w-]+|(?:examples|packages|packages\/verifiers)\/[\w-]+)\/README)\.md$/.test(file),
  );

/** The site's file for a page of the repository. */
const siteFile = (file: string) =>
  file
    .replace(/^README/, 'about')
    .replace(/^docs\//, '')
    .replace(/^errors\.md/, 'errors/README.md')
    .replace(/README\.md$/, 'index.md');

/** Resolves a link: to a file of the site, or else to the repository on GitHub. */
function siteLink(from: string, link: string): string {
  const inRepository = link.replace(`${repository}/blob/main/`, '/');
  if (/^(?:[a-z]+:|#)/.test(inRepository)) return link;
  const [path = '', anchor] = inRepository.split('#');
  const file = path.startsWith('/') ? path.slice(1) : posix.join(dirname(from), path);
  if (!existsSync(join(root, file))) throw new Error(`${from}: the link ${link} is dead`);
  const isFolder = statSync(join(root, file)).isDirectory();
  const target = isFolder ? posix.join(file, 'README.md') : file;
  const hash = anchor === undefined ? '' : `#${anchor}`;
  if (!files.includes(target) && !/^docs\/(?:images|openapi)\//.test(target))
    return `${repository}/${isFolder ? 'tree' : 'blob'}/main/${file}${hash}`;
  const relative = posix.relative(dirname(siteFile(from)), siteFile(target));
  return `${relative.startsWith('.') ? '' : './'}${relative}${hash}`;
}

/** Removes comments and resolves links, but not in code. */
const sitePage = (file: string) =>
  shownParts(read(file), held).replaceAll(
    /^(`{3,}|~{3,})[\s\S]*?^\1$|<!-- (?!\/?tabs -->)[\s\S]*?-->\n?|(\]\(|(?:src|srcset)=")([^)\s"]+)/gm,
    (all, _fence, before?: string, link?: string) =>
      link === undefined ? (all.startsWith('<') ? '' : all) : `${before}${siteLink(file, link)}`,
  );

/** Turns the sections between the marks `tabs` into tabs. On GitHub they are sections. */
const withTabs = (text: string) =>
  text.replaceAll(/^<!-- tabs -->\n+(#+ )(.*?)^<!-- \/tabs -->$/gms, (_, level: string, sections: string) => {
    const parts = sections.split(`\n${level}`);
    const names = parts.map((part) => part.slice(0, part.indexOf('\n')));
    const slots = parts.map((part, index) => `<template #tab${index}>\n\n${level}${part}\n</template>\n`);
    return `<Tabs names="${names.join('|')}">\n${slots.join('')}</Tabs>`;
  });

const titleOf = (text: string) => (/^# (.+)$/m.exec(text)?.[1] ?? '').replaceAll('`', '');
function summaryOf(text: string): string {
  const paragraph = text.split('\n\n').find((block) => /^[\w`*[“]/.test(block)) ?? '';
  const plain = paragraph
    .replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .replaceAll(/[`*]/g, '')
    .replaceAll('\n', ' ');
  return (/^.+?[.:](?= |$)/.exec(plain)?.[0] ?? plain).replace(/:$/, '.');
}

/** The rows of the tables whose first column or columns are named so. */
const rowsOf = (file: string, columns: string) =>
  [...read(file).matchAll(new RegExp(`^\\| ${columns} \\|.*\\n.*\\n((?:\\|.*\\n)+)`, 'gm'))]
    .flatMap(([, rows = '']) => rows.split('\n').slice(0, -1))
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

const advice: Readonly<Record<string, string>> = {
  'the caller': 'Change the request. Repeated unchanged, it fails again.',
  'the configuration': 'An operator changes the configuration. The log line with this `request_id` has the reason.',
  'too much load': 'Wait as long as `Retry-After` says, then repeat the request.',
  'the service behind': 'Repeat the request later. Operators find the cause in the log, by this `request_id`.',
  ours: 'Repeat the request later. If it fails again, give this `request_id` to the operators.',
};

const errors = rowsOf('docs/errors.md', 'status');
const codes = [...new Set(errors.map(([, code = '']) => code))];

/** In the first cells of a table's rows, each code leads to its page. */
const withCodeLinks = (file: string, text: string) =>
  text.replaceAll(/^\| (?:\d+ \| )?(?:`\w+`(?:, )?)+ \|/gm, (cells) =>
    cells.replaceAll(/`(\w+)`/g, (code, name: string) =>
      codes.includes(code) ? `[${code}](./${posix.relative(dirname(file), `errors/${name}`)})` : code,
    ),
  );

/** A page for each code in docs/errors.md, with its causes from docs/debugging.md. */
function errorPages(all: readonly Page[]): readonly Page[] {
  const causes = rowsOf('docs/debugging.md', 'code');
  return codes.map((code) => {
    const name = code.slice(1, -1);
    const meanings = errors
      .filter((row) => row[1] === code)
      .map(([status, , meaning, fault = '', wait]) => {
        const retry = wait === '' ? '' : ` \`Retry-After\` is ${wait}.`;
        return `${status}: ${meaning}\n\n- Whose fault: ${fault}.\n- What to do: ${advice[fault]}${retry}`;
      });
    const usual = causes
      .filter(([codes]) => codes?.includes(code))
      .map(([, cause, look]) => `- Usual cause: ${cause}.\n- Look at: ${look?.replaceAll('](', '](../')}.`);
    const mentions = all
      .filter(({ text }) => text.includes(code))
      .map(({ file, text }) => `- [${titleOf(text)}](../${file})`);
    const body = [...new Set(meanings), ...usual, '## Pages that name it', mentions.join('\n')];
    return { file: `errors/${name}.md`, text: `# ${name}\n\n${body.join('\n\n')}\n` };
  });
}

const written = files.map((file) => ({ file: siteFile(file), text: withCodeLinks(siteFile(file), sitePage(file)) }));
const pages: readonly Page[] = [...written, ...errorPages(written)];
const index = read('docs/README.md');

/** The pages by folder, in the order in which docs/README.md names them. */
export const groups = Object.entries({
  Documentation: /^(?:[a-z-]+|errors\/index)\.md$/,
  'Identity providers': /^providers/,
  Operations: /^operations/,
  Repository: /^(?:[A-Z]+|[\w-]+-service\/index|(?:gateway|web|infra)\/index)\.md$/,
  Packages: /^packages/,
  Examples: /^examples/,
  Decisions: /^decisions/,
  'Error codes': /^errors\/(?!index)/,
}).map(([text, pattern]) => ({
  text,
  items: pages
    .filter((page) => pattern.test(page.file) && page.file !== 'index.md')
    .map((page) => ({ ...page, order: index.indexOf(`](${page.file.replace('/index', '')}`) + 1 || index.length }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ file, text }) => ({ text: titleOf(text), link: `/${file.replace(/(?:index)?\.md$/, '')}`, file })),
}));

function writeTo(folder: string, render: (text: string) => string): void {
  for (const { file, text } of pages) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), render(text));
  }
  for (const name of ['images', 'openapi']) cpSync(join(root, 'docs', name), join(folder, name), { recursive: true });
}

/** Writes the pages that VitePress reads. */
export function writeSources(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  writeTo(folder, withTabs);
}

/** Adds each page as Markdown, and llms.txt, which lists them for programs. */
export function writeMarkdown(folder: string): void {
  writeTo(folder, (text) => text.replaceAll(/^<!-- \/?tabs -->\n/gm, ''));
  const summaries = new Map(pages.map(({ file, text }) => [file, summaryOf(text)]));
  const lists = groups.map(({ text, items }) => {
    const lines = items.map(({ text: title, file }) => `- [${title}](/${file}): ${summaries.get(file)}`);
    return `## ${text}\n\n${lines.join('\n')}\n`;
  });
  const head = `# Countersign\n\n> ${summaries.get('index.md')}\n`;
  writeFileSync(join(folder, 'llms.txt'), [head, ...lists].join('\n'));
}
