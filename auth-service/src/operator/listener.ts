import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type Logger, notFound, requestIdOf, requestLog, respondWithProblem } from '@countersign/service-kit';
import express from 'express';
import { z } from 'zod';
import { AppError, errors } from '../errors.ts';
import { findCommand } from './commands.ts';
import { type OperatorParts, run } from './run-command.ts';

const maxBodyBytes = 4 * 1024;
// The kernel's struct has 108 bytes for the path, including the final NUL.
const maxPathBytes = 107;

const commandBody = z.object({ command: z.array(z.string().max(256)).max(4) });

/**
 * Listens for operator commands on a Unix socket in a directory that only our own user can enter; that user can read
 * our secrets anyway. The running service executes them, because PGlite allows one process and a revoked key must go
 * out of use at once. When another instance holds the socket, that instance takes the commands for the same database.
 *
 * @returns Stops it.
 */
export async function listenForOperator(
  path: string,
  parts: OperatorParts,
  logger: Logger,
): Promise<() => Promise<void>> {
  const nothing = async () => {};
  if (Buffer.byteLength(path) > maxPathBytes) {
    logger.warn({ path }, `operator commands are off: a socket's path has at most ${maxPathBytes} bytes`);
    return nothing;
  }
  const server = createServer(operatorApp(parts, logger));
  try {
    if (!(await take(path, server))) {
      logger.warn({ path }, 'operator commands are taken by another instance');
      return nothing;
    }
  } catch (error) {
    server.close();
    // The service starts without operator commands on a read-only disk or in a directory of another user.
    logger.warn({ path, err: error }, 'operator commands are off: the socket cannot be created');
    return nothing;
  }
  return async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
}

/** @returns Whether it was free. */
async function take(path: string, server: Server): Promise<boolean> {
  assertOwnDirectory(dirname(path));
  if (await answers(path)) return false;
  // A killed process left it behind.
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
    const { command, given } = found;
    const requestId = requestIdOf(res);
    logger.warn({ command: command.name, given, request_id: requestId }, 'operator command');
    res.json({ lines: await run[command.name](parts, given, requestId) });
  });
  app.use(notFound);
  app.use(respondWithProblem(errors));
  return app;
}

/**
 * Creates the directory, or requires mode 0700. A shared directory such as /run is not safe, and its mode is not ours
 * to change.
 */
function assertOwnDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(directory).mode & 0o077) !== 0)
    throw new Error(`${directory} is open to others: it must have mode 0700`);
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
