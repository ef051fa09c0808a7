/**
 * Whether this project holds the names `countersign` and `@countersign` on npm, and `countersign-identity` on PyPI. Until
 * then, an installation by name would fetch a stranger's package. docs/releasing.md says when to change it.
 */
export const namesAreHeld = false;

/** Shows the parts of a page between the marks `registry` or those between `clone`. The others become comments. */
export function shownParts(page: string, held = namesAreHeld): string {
  return page.replaceAll(/^<!-- (registry|clone)(?: -->)?\n(.*?)\n(?:<!-- )?\/\1 -->$/gms, (_, part, text) =>
    (part === 'registry') === held
      ? `<!-- ${part} -->\n${text}\n<!-- /${part} -->`
      : `<!-- ${part}\n${text}\n/${part} -->`,
  );
}

/** The pages that say how to install a package. */
export const installPages = [
  'README.md',
  'docs/tutorial.md',
  'docs/service-in-python.md',
  'gateway/README.md',
  'packages/identity/README.md',
  'packages/client/README.md',
  'packages/verifiers/python/README.md',
];
