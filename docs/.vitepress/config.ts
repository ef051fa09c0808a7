import { resolve } from 'node:path';
import { defineConfig, type MarkdownRenderer } from 'vitepress';
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
  /^(?:an?|the|i|is|are|do|does|how|what|why|in|of|to|mean|and|for|with)$/i.test(term) ? null : term.toLowerCase();

/** What readers need to use Countersign comes before what was decided or proposed. */
const searchOptions = {
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

function render({ renderer: { rules } }: MarkdownRenderer): void {
  // An indented block like a fenced one, so that it scrolls.
  rules.code_block = (tokens, index, ...rest) => rules.fence?.(tokens, index, ...rest) ?? '';
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
  // What is the same on every page is loaded once.
  metaChunk: true,
  base: process.env.BASE ?? '/',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  markdown: {
    languageAlias: { abnf: 'ini', caddy: 'nginx', haproxy: 'nginx' },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    anchor: { slugify },
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
