/**
 * Returns what the terminal shows of a log line about a mail: its link. `npm start` has no mail server, and the link would
 * otherwise be found in the log alone.
 *
 * @returns undefined for every other line, and for a mail without a link.
 */
export function mailedLink(line: string): string | undefined {
  if (!line.includes('"a mail was written, not sent"')) return undefined;
  const { to, link } = JSON.parse(line) as Readonly<{ to: string; link?: string }>;
  return link && `A mail to ${to}: ${link}`;
}
