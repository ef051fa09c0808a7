/** Compiles the rules of a document's ABNF (RFC 5234, with the strings of RFC 7405) to regular expressions. */
export function compileAbnf(text: string): (rule: string) => RegExp {
  const rules = new Map<string, string>(Object.entries(coreRules));
  const lines = text
    .replaceAll(/^((?:[^";\n]|"[^"\n]*")*);.*$/gm, '$1')
    .replaceAll(/\n +/g, ' ')
    .split('\n');
  for (const line of lines) {
    const [, name, body] = /^([A-Za-z][\w-]*) *= *(.+)$/.exec(line.trim()) ?? [];
    if (name === undefined || body === undefined) continue;
    if (rules.has(name)) throw new Error(`${name} is defined twice`);
    rules.set(name, body);
  }

  const compiled = new Map<string, string>();
  function expand(name: string): string {
    let source = compiled.get(name);
    if (source === undefined) {
      const body = rules.get(name);
      if (body === undefined) throw new Error(`no rule is called ${name}`);
      source = alternation(tokensOf(body));
      compiled.set(name, source);
    }
    return source;
  }

  function alternation(tokens: string[]): string {
    const parts = [''];
    while (tokens.length > 0 && tokens[0] !== ')' && tokens[0] !== ']') {
      if (tokens[0] === '/') {
        tokens.shift();
        parts.push('');
      } else parts[parts.length - 1] += repetition(tokens);
    }
    return `(?:${parts.join('|')})`;
  }

  function repetition(tokens: string[]): string {
    const [, least = '', star = '', most = ''] = /^(\d*)(\*?)(\d*)$/.exec(tokens[0] ?? '') ?? [];
    if (least + star + most === '') return element(tokens);
    tokens.shift();
    const times = star === '' ? least : `${least === '' ? 0 : least},${most}`;
    return `${element(tokens)}{${times}}`;
  }

  function element(tokens: string[]): string {
    const token = tokens.shift() ?? '';
    if (token === '(' || token === '[') {
      const inner = alternation(tokens);
      tokens.shift();
      return token === '(' ? inner : `${inner}?`;
    }
    const [, from, to] = /^%x([0-9A-F]+)(?:-([0-9A-F]+))?$/.exec(token) ?? [];
    if (from !== undefined) return `[\\x${from}-\\x${to ?? from}]`;
    const [, isSensitive, literal] = /^(%s)?"(.*)"$/.exec(token) ?? [];
    if (literal === undefined) return expand(token);
    const escaped = Array.from(literal, (char) => `\\x${char.charCodeAt(0).toString(16)}`);
    // A string without %s has no case.
    const folded = Array.from(literal, (char, at) =>
      /[a-z]/i.test(char) ? `[${char.toLowerCase()}${char.toUpperCase()}]` : escaped[at],
    );
    return `(?:${(isSensitive === undefined ? folded : escaped).join('')})`;
  }

  return (rule) => new RegExp(`^${expand(rule)}$`);
}

const tokens = /%s"[^"]*"|"[^"]*"|%x[0-9A-F]+(?:-[0-9A-F]+)?|[()[\]/]|\d+\*?\d*|\*\d*|[A-Za-z][\w-]*/g;
const tokensOf = (body: string): string[] => body.match(tokens) ?? [];

/** RFC 5234 appendix B.1. */
const coreRules = {
  ALPHA: '%x41-5A / %x61-7A',
  DIGIT: '%x30-39',
  DQUOTE: '%x22',
  HEXDIG: 'DIGIT / "A" / "B" / "C" / "D" / "E" / "F"',
  SP: '%x20',
  VCHAR: '%x21-7E',
};
