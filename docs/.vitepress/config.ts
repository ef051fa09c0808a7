import { resolve } from 'node:path';
import { defineConfig, type MarkdownRenderer } from 'vitepress';
import { groups, writeMarkdown, writeSources } from './pages.ts';

const srcDir = resolve(import.meta.dirname, 'cache/pages');
writeSources(srcDir);

/** Finds `token_missing`, `errors.docs` and `X-User-Id` as a whole, and by each word. The browser runs it alone. */
const tokenize = (text: string) =>
  text.split(/[^\p{L}\p{N}_.@/-]+/u).flatMap((part) => {
    const words = part.split(/[_.@/-]+/).filter(Boolean);
    return words.length > 1 ? [part.replace(/^\W+|\W+$/g, ''), ...words] : words;
  });

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
    search: { provider: 'local', options: { miniSearch: { options: { tokenize } } } },
    socialLinks: [{ icon: 'github', link: 'https://github.com/countersign/countersign' }],
  },
  buildEnd: ({ outDir }) => writeMarkdown(outDir),
});
