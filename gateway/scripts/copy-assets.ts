import { cpSync } from 'node:fs';
import { resolve } from 'node:path';

// A step of `npm run build`: tsc leaves out the style sheet, the script and the icon of the console.

const assets = 'admin/console/assets';
cpSync(resolve(import.meta.dirname, '../src', assets), resolve(import.meta.dirname, '../dist', assets), {
  recursive: true,
});
