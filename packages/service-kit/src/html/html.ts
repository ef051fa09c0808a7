/** A value in a template. A function is called when the page is rendered. Booleans and no value render as nothing. */
export type Content<Context = undefined> =
  | Html<Context>
  | string
  | number
  | boolean
  | undefined
  | null
  | readonly Content<Context>[]
  | ((context: Context) => Content<Context>);

/** HTML that escapes its values when it is rendered. Created by {@link html}. */
export class Html<Context = undefined> {
  readonly #strings: readonly string[];
  readonly #values: readonly Content<Context>[];

  /** @param strings The HTML before, between and after the values. */
  constructor(strings: readonly string[], values: readonly Content<Context>[] = []) {
    this.#strings = strings;
    this.#values = values;
  }

  /** The context can be omitted if the template's functions accept undefined. */
  render(...[context]: undefined extends Context ? [context?: Context] : [context: Context]): string {
    return this.#text(context as Context);
  }

  #text(context: Context): string {
    let text = this.#strings[0] ?? '';
    for (const [at, value] of this.#values.entries())
      text += Html.#textOf(value, context) + (this.#strings[at + 1] ?? '');
    return text;
  }

  static #textOf<Context>(content: Content<Context>, context: Context): string {
    if (content === undefined || content === null || content === false || content === true) return '';
    if (content instanceof Html) return content.#text(context);
    if (typeof content === 'function') return Html.#textOf(content(context), context);
    if (Array.isArray(content)) return content.map((one) => Html.#textOf(one, context)).join('');
    return escapeHtml(String(content));
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  // Older browsers treat a backtick as a quote.
  '`': '&#96;',
};

/** Control and format characters, such as bidirectional overrides, which could disguise a name. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes text for an element or a quoted attribute. Invisible characters become visible, as in `\u202e`. */
export const escapeHtml = (text: string): string => escaped(text, (hex) => `\\u${hex.padStart(4, '0')}`);

/** Escapes a form value. Invisible characters become entities, so that the submitted value is unchanged. */
export const formValue = <Context = undefined>(text: string): Html<Context> =>
  new Html<Context>([escaped(text.replaceAll('\r\n', '\n'), (hex) => `&#x${hex};`)]);

const special = /[&<>"'`\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function escaped(text: string, show: (hex: string) => string): string {
  // Fast path: most texts are plain, and a page has thousands of them.
  if (!special.test(text)) return text;
  return text
    .replace(/[&<>"'`]/g, (character) => entities[character] ?? character)
    .replace(invisible, (character) =>
      character === '\n' ? character : show((character.codePointAt(0) ?? 0).toString(16)),
    );
}

/** A template that escapes every value except {@link Html}. Attributes must be quoted. */
export const html = <Context = undefined>(
  strings: TemplateStringsArray,
  ...values: readonly Content<Context>[]
): Html<Context> => new Html(strings, values);
