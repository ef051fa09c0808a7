/** What an address on the page depends on: the worker that the page is about. */
export type Worker = number | undefined;

/**
 * A value in a template. `undefined`, `null`, `true` and `false` render as nothing. A function is asked when the page is
 * rendered.
 */
export type Content =
  | Html
  | string
  | number
  | boolean
  | undefined
  | null
  | readonly Content[]
  | ((worker: Worker) => Content);

/** HTML that escapes its values when it is rendered. Made by {@link html}. */
export class Html {
  readonly #strings: readonly string[];
  readonly #values: readonly Content[];

  /** @param strings HTML before, between and after the values. */
  constructor(strings: readonly string[], values: readonly Content[] = []) {
    this.#strings = strings;
    this.#values = values;
  }

  render(worker?: Worker): string {
    let text = this.#strings[0] ?? '';
    for (const [at, value] of this.#values.entries()) text += textOf(value, worker) + (this.#strings[at + 1] ?? '');
    return text;
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

/** Control and format characters. Bidirectional overrides could disguise a name. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes a text for an element or a quoted attribute. Invisible characters become visible as `\u202e`. */
export const escapeHtml = (text: string): string => escaped(text, (hex) => `\\u${hex.padStart(4, '0')}`);

/** Escapes a form value. Invisible characters become entities, so the submitted value is unchanged. */
export const formValue = (text: string): Html =>
  new Html([escaped(text.replaceAll('\r\n', '\n'), (hex) => `&#x${hex};`)]);

const special = /[&<>"'`\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function escaped(text: string, show: (hex: string) => string): string {
  // Most texts are plain, and a page has thousands of them.
  if (!special.test(text)) return text;
  return text
    .replace(/[&<>"'`]/g, (character) => entities[character] ?? character)
    .replace(invisible, (character) =>
      character === '\n' ? character : show((character.codePointAt(0) ?? 0).toString(16)),
    );
}

/** A template that escapes every value, unless it is {@link Html} itself. Attributes must be quoted. */
export const html = (strings: TemplateStringsArray, ...values: readonly Content[]): Html => new Html(strings, values);

function textOf(content: Content, worker: Worker): string {
  if (content === undefined || content === null || content === false || content === true) return '';
  if (content instanceof Html) return content.render(worker);
  if (typeof content === 'function') return textOf(content(worker), worker);
  if (Array.isArray(content)) return content.map((one) => textOf(one, worker)).join('');
  return escapeHtml(String(content));
}
