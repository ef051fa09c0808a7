import { type Content as AnyContent, type Html as AnyHtml, html as template } from '@countersign/service-kit';

/** What an address on the page depends on: the worker that the page is about. */
export type Worker = number | undefined;

export type Content = AnyContent<Worker>;
export type Html = AnyHtml<Worker>;

export const html: (strings: TemplateStringsArray, ...values: readonly Content[]) => Html = template;
