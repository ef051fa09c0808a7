import { type Content as AnyContent, type Html as AnyHtml, html as template } from '@countersign/service-kit';

/** Context for the links on a page: the worker that the page shows. */
export type Worker = number | undefined;

export type Content = AnyContent<Worker>;
export type Html = AnyHtml<Worker>;

export const html: (strings: TemplateStringsArray, ...values: readonly Content[]) => Html = template;
