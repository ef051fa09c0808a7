/** Text that is HTML already. Only {@link html} makes it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

/** What a template takes. `undefined`, `null` and `false` become nothing. */
export type Content = Html | string | number | boolean | undefined | null | readonly Content[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  // Older browsers end an attribute at it.
  '`': '&#96;',
};

/** Marks without a glyph, and those that turn the direction of the text after them, which could disguise a name. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes a text for an element or a quoted attribute. Invisible characters become visible as `\u202e`. */
export const escapeHtml = (text: string): string => escaped(text, (hex) => `\\u${hex.padStart(4, '0')}`);

/** Escapes the value of a form control, which comes back when the form is sent. So its characters stay as they are. */
export const formValue = (text: string): Html =>
  new Html(escaped(text.replaceAll('\r\n', '\n'), (hex) => `&#x${hex};`));

function escaped(text: string, show: (hex: string) => string): string {
  return text
    .replace(/[&<>"'`]/g, (character) => entities[character] ?? character)
    .replace(invisible, (character) =>
      character === '\n' ? character : show((character.codePointAt(0) ?? 0).toString(16)),
    );
}

/** A template that escapes every value, unless it is {@link Html} itself. Attributes must be quoted. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  let text = strings[0] ?? '';
  for (const [at, value] of values.entries()) text += textOf(value) + (strings[at + 1] ?? '');
  return new Html(text);
}

function textOf(content: Content): string {
  if (content === undefined || content === null || content === false || content === true) return '';
  if (content instanceof Html) return content.text;
  if (Array.isArray(content)) return content.map(textOf).join('');
  return escapeHtml(String(content));
}
