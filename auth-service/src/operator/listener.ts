import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type Logger, notFound, requestIdOf, requestLog, respondWithProblem } from '@countersign/process-kit';
import express from 'express';
import { z } from 'zod';
import { AppError, errors } from '../errors.ts';
import { findCommand } from './commands.ts';
import { type OperatorParts, run } from './run-command.ts';

const maxBodyBytes = 4 * 1024;
// sockaddr_un has 108 bytes for the path, including the final NUL.
const maxPathBytes = 107;

const commandBody = z.object({ command: z.array(z.string().max(256)).max(4) });

/**
 * Listens for operator commands on a Unix socket that only our own user can access. That user can read our secrets
 * anyway. The running service executes the commands, because PGlite allows only one process and a revoked key must stop
 * signing immediately. If another instance already owns the socket, it handles the commands for the same database.
 *
 * @returns A function that stops the listener.
 */
export async function listenForOperator(
  path: string,
  parts: OperatorParts,
  logger: Logger,
): Promise<() => Promise<void>> {
  const nothing = async () => {};
  if (Buffer.byteLength(path) > maxPathBytes) {
    logger.warn({ path }, `operator commands are disabled: the socket path exceeds ${maxPathBytes} bytes`);
    return nothing;
  }
  const server = createServer(operatorApp(parts, logger));
  try {
    if (!(await take(path, server))) {
      logger.warn({ path }, 'another instance handles operator commands');
      return nothing;
    }
  } catch (error) {
    server.close();
    // For example, the disk is read-only or the directory belongs to another user.
    logger.warn({ path, err: error }, 'operator commands are disabled: the socket cannot be created');
    return nothing;
  }
  return async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
}

/** @returns false if another instance owns the socket. */
async function take(path: string, server: Server): Promise<boolean> {
  assertOwnDirectory(dirname(path));
  if (await answers(path)) return false;
  rmSync(path, { force: true });
  server.listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o600);
  return true;
}

function operatorApp(parts: OperatorParts, logger: Logger): RequestListener {
  const app = express();
  app.disable('x-powered-by');
  app.use(requestLog(logger), express.json({ limit: maxBodyBytes, strict: true }));
  app.post('/', async (req, res) => {
    const found = findCommand(commandBody.parse(req.body).command);
    if (found === undefined) throw new AppError('invalid_request', { detail: { reason: 'no such command' } });
    const { command, name, given } = found;
    const requestId = requestIdOf(res);
    logger.warn({ command: name, given, request_id: requestId }, 'operator command');
    res.json({ lines: await run[command](parts, given, requestId) });
  });
  app.use(notFound);
  app.use(respondWithProblem(errors));
  return app;
}

/** An existing directory must have mode 0700. It may be shared, such as /run, so its mode must not be changed. */
function assertOwnDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(directory).mode & 0o077) !== 0)
    throw new Error(`${directory} is accessible to other users: it must have mode 0700`);
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return false;
    throw error;
  } finally {
    socket.destroy();
  }
}
