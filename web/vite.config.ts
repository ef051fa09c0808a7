import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig({
  base: '/app/',
  // Reads the client package from its source, as everywhere in the repository.
  resolve: { conditions: ['source', ...defaultClientConditions] },
  build: {
    target: 'es2023',
    // The policy `default-src 'self'` refuses data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Tests use it to measure what each route loads.
    manifest: true,
    // Ignores `use client` markers in packages, because there is no server rendering.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
