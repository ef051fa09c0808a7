/** @param page A path below docs/, such as `errors.md`, with an anchor if needed. Packages lack these pages. */
export const docsPage = (page: string): string => `https://github.com/countersign/countersign/blob/main/docs/${page}`;
