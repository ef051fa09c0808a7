import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@countersign/process-kit';
import { createTransport } from 'nodemailer';
import { type Mailer, messageOf } from './mailer.ts';

/** Never base64, so that a file stays readable in every language. */
const textEncoding = 'quoted-printable';

/**
 * Writes emails to `.eml` files and their links to the log, so that no mail server is needed. Anyone who reads the log
 * can use a link, so production refuses to start with this mailer.
 */
export function fileMailer(options: Readonly<{ directory: string; from: string; logger: Logger }>): Mailer {
  const { directory, from, logger } = options;
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
  return {
    async send(mail) {
      const { kind, to, link } = mail;
      const { message } = await transport.sendMail({ ...messageOf(from, mail), textEncoding });
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const file = join(directory, `${new Date().toISOString().replaceAll(':', '-')}-${kind}-${randomUUID()}.eml`);
      // Writes atomically, so that watchers of the directory never see a partial file.
      try {
        await writeFile(`${file}.part`, readable(message as Buffer), { mode: 0o600 });
        await rename(`${file}.part`, file);
      } catch (error) {
        // On a full disk, every retry would leave another partial file.
        await rm(`${file}.part`, { force: true });
        throw error;
      }
      logger.info(
        { mail: kind, to, file, ...(link !== undefined && { link }) },
        'an email was written to a file, not sent',
      );
    },
    close: () => transport.close(),
  };
}

/** Decodes quoted-printable, which would split a link over two lines. A file has no maximum line length. */
function readable(message: Buffer): Buffer {
  const text = message.toString('latin1');
  const encoding = 'Content-Transfer-Encoding: ';
  if (!text.includes(`\r\n${encoding}quoted-printable\r\n`)) return message;
  const end = text.indexOf('\r\n\r\n');
  const body = text
    .slice(end)
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const head = text.slice(0, end).replace(`${encoding}quoted-printable`, `${encoding}8bit`);
  return Buffer.from(head + body, 'latin1');
}
