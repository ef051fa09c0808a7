import { createServer } from 'node:http';

/*
 * The baseline for a decision endpoint: `node:http` that gives every request the same answer, on a Unix socket. The
 * answer has as many header bytes as the gateway's.
 */

const [socket = '', rawHeaders = '[]'] = process.argv.slice(2);
const headers = JSON.parse(rawHeaders) as string[];
createServer((_request, response) => void response.writeHead(200, headers).end()).listen(socket);
