import { type Content as AnyContent, type Html as AnyHtml, html as template } from '@countersign/service-kit';

/** What links on the page depend on: the worker that the page shows. */
export type Worker = number | undefined;

export type Content = AnyContent<Worker>;
export type Html = AnyHtml<Worker>;

export const html: (strings: TemplateStringsArray, ...values: readonly Content[]) => Html = template;
