import { resolve } from 'node:path';
import { defineConfig, type MarkdownOptions, type MarkdownRenderer } from 'vitepress';
import { paintFirst } from './first-paint.ts';
import { groups, writeMarkdown, writeSources } from './pages.ts';

const srcDir = resolve(import.meta.dirname, 'cache/pages');
writeSources(srcDir);

/** Finds `token_missing`, `errors.docs` and `X-User-Id` as a whole, and by each word. The browser runs it alone. */
const tokenize = (text: string) =>
  text.split(/[^\p{L}\p{N}_.@/-]+/u).flatMap((part) => {
    const words = part.split(/[_.@/-]+/).filter(Boolean);
    return words.length > 1 ? [part.replace(/^\W+|\W+$/g, ''), ...words] : words;
  });

/** Drops the words of a question that are on every page. */
const processTerm = (term: string) =>
  /^(?:an?|the|i|is|are|do|does|how|what|why|in|of|to|mean|my|and|for|with|without)$/i.test(term)
    ? null
    : term.toLowerCase();

/** What readers need to use Countersign comes before what was decided or proposed. */
const searchOptions = {
  // In a short word, another letter is another word: `cors` is not `core`.
  fuzzy: (term: string) => (term.length > 5 ? 0.2 : false),
  boost: { title: 4, titles: 2, text: 1 },
  boostDocument: (id: string) => (/\/(?:decisions|draft|C[A-Z]+)|#pages-that-name-it/.test(id) ? 0.3 : 1),
};

/** The id of a heading, as GitHub makes it: links on the pages are for both. */
const slugify = (heading: string) =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-');

/** The copy button takes the commands of a session, without what they print. */
const commandsOnly: NonNullable<MarkdownOptions['codeTransformers']>[number] = {
  line(node, number) {
    const lines = this.source.split('\n');
    const isCommand = lines[number - 1]?.startsWith('$ ') || lines[number - 2]?.endsWith('\\');
    if (this.options.lang === 'console' && !isCommand) this.addClassToHast(node, 'vp-copy-ignore');
  },
};

function render({ renderer: { rules } }: MarkdownRenderer): void {
  // An indented block like a fenced one, so that it scrolls.
  rules.code_block = (tokens, index, ...rest) => rules.fence?.(tokens, index, ...rest) ?? '';
  // The theme removes the prompt only from what it takes for a shell.
  const { fence } = rules;
  rules.fence = (...all) => (fence?.(...all) ?? '').replace(/^<div class="language-console/, '$& language-sh');
  // The corner of a table is no heading.
  for (const [name, toText] of [
    ['th_open', 1],
    ['th_close', -1],
  ] as const)
    rules[name] = (tokens, index, options, _env, self) => {
      const [token, text] = [tokens[index], tokens[index + toText]];
      if (token !== undefined && text?.content === '') token.tag = 'td';
      return self.renderToken(tokens, index, options);
    };
}

export default defineConfig({
  title: 'Countersign',
  description: 'An API gateway that verifies JWTs once and forwards identity as signed headers',
  srcDir,
  cleanUrls: true,
  // As the pictures do.
  appearance: 'force-auto',
  // What is the same on every page is loaded once.
  metaChunk: true,
  base: process.env.BASE ?? '/',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  markdown: {
    languageAlias: { abnf: 'ini', caddy: 'nginx', haproxy: 'nginx' },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    anchor: { slugify },
    codeTransformers: [commandsOnly],
    config: render,
  },
  themeConfig: {
    nav: [
      { text: 'Tutorial', link: '/tutorial' },
      { text: 'gateway.yaml', link: '/gateway-yaml' },
      { text: 'Errors', link: '/errors/' },
    ],
    sidebar: groups.filter(({ text }) => text !== 'Error codes'),
    outline: [2, 3],
    search: { provider: 'local', options: { miniSearch: { options: { tokenize, processTerm }, searchOptions } } },
    socialLinks: [{ icon: 'github', link: 'https://github.com/countersign/countersign' }],
  },
  async buildEnd({ outDir, site }) {
    writeMarkdown(outDir);
    await paintFirst(outDir, site.base);
  },
});
