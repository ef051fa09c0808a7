import { readFileSync } from 'node:fs';

/** Reads the icon of every page, an SVG. */
export const brandIcon = (): Buffer => readFileSync(new URL('./icon.svg', import.meta.url));
