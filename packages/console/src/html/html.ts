import { type Content as AnyContent, type Html as AnyHtml, html as template } from '@countersign/service-kit';

/** The worker that the page shows. Links on the page keep it. */
export type Worker = number | undefined;

export type Content = AnyContent<Worker>;
export type Html = AnyHtml<Worker>;

export const html: (strings: TemplateStringsArray, ...values: readonly Content[]) => Html = template;
