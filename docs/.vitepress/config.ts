import { resolve } from 'node:path';
import { defineConfig } from 'vitepress';
import { groups, writeMarkdown, writeSources } from './pages.ts';

const srcDir = resolve(import.meta.dirname, 'cache/pages');
writeSources(srcDir);

/** Finds `token_missing`, `errors.docs` and `X-User-Id` as a whole, and by each word. The browser runs it alone. */
const tokenize = (text: string) =>
  text.split(/[^\p{L}\p{N}_.@/-]+/u).flatMap((part) => {
    const words = part.split(/[_.@/-]+/).filter(Boolean);
    return words.length > 1 ? [part.replace(/^\W+|\W+$/g, ''), ...words] : words;
  });

export default defineConfig({
  title: 'Countersign',
  description: 'An API gateway that verifies JWTs once and forwards identity as signed headers',
  srcDir,
  cleanUrls: true,
  base: process.env.BASE ?? '/',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  markdown: { languageAlias: { abnf: 'ini', caddy: 'nginx', haproxy: 'nginx' } },
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
