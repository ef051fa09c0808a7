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
    // Tests use it to measure what each route loads.
    manifest: true,
    // Ignores the `use client` markers of packages: there is no server rendering.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
