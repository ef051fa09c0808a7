import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { eventually } from '../eventually.ts';

export type ReceivedMail = Readonly<{ to: string; subject: string; text: string; raw: string }>;

export type SmtpSink = Awaited<ReturnType<typeof smtpSink>>;

/** Starts a real mail server that stores received emails. It implements the part of RFC 5321 that a sender needs. */
export async function smtpSink() {
  const received: ReceivedMail[] = [];
  const sockets = new Set<Socket>();
  let refusal: string | undefined;

  async function talk(socket: Socket): Promise<void> {
    const say = (line: string) => socket.write(`${line}\r\n`);
    let to = '';
    let body: string[] | undefined;
    say('220 sink');
    for await (const line of createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (body !== undefined) {
        if (line !== '.') body.push(line.replace(/^\.\./, '.'));
        else {
          received.push(parseMail(to, body));
          body = undefined;
          say('250 kept');
        }
      } else if (/^EHLO/i.test(line)) say('250 sink');
      else if (/^MAIL/i.test(line)) say(refusal ?? '250 ok');
      else if (/^RCPT/i.test(line)) {
        to = /<(.*)>/.exec(line)?.[1] ?? '';
        say('250 ok');
      } else if (/^DATA/i.test(line)) {
        body = [];
        say('354 go on');
      } else if (/^QUIT/i.test(line)) {
        say('221 bye');
        socket.end();
      } else say('250 ok');
    }
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Records an email only after the sender has finished it.
    talk(socket).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: received as readonly ReceivedMail[],
    /** Waits for this many emails to the address, and returns the newest one. */
    mailTo: (to: string, count = 1) =>
      eventually(() => {
        const found = received.filter((mail) => mail.to === to);
        const last = found.at(-1);
        if (last === undefined || found.length < count) throw new Error(`${found.length} mails to ${to}`);
        return last;
      }),
    /** Sets the SMTP refusal for later emails. Undefined accepts them. */
    refuseWith(answer: string | undefined): void {
      refusal = answer;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function parseMail(to: string, lines: readonly string[]): ReceivedMail {
  const raw = lines.join('\n');
  const end = raw.indexOf('\n\n');
  const head = raw.slice(0, end).replaceAll(/\n[ \t]+/g, ' ');
  const subject = /^subject: (.*)$/im.exec(head)?.[1] ?? '';
  const body = raw.slice(end + 2);
  return { to, subject, text: /quoted-printable/i.test(head) ? unquote(body) : body, raw };
}

/** Quoted-printable (RFC 2045 section 6.7). */
const unquote = (text: string): string =>
  text
    .replaceAll('=\n', '')
    .replaceAll(/(=[0-9A-F]{2})+/g, (run) => Buffer.from(run.replaceAll('=', ''), 'hex').toString('utf8'));
