import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig({
  base: '/app/',
  // The client package is read from its source, as everywhere in the repository.
  resolve: { conditions: ['source', ...defaultClientConditions] },
  build: {
    target: 'es2023',
    // The policy is `default-src 'self'`: no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Tests measure what each route loads.
    manifest: true,
    // Packages mark modules of browsers for servers that render React. There is none.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
