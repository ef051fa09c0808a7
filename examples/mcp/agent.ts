import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { OnBehalfOf } from './on-behalf-of.ts';

// An agent that calls one tool and prints the result: node agent.ts TOOL [ARGUMENTS]. CLIENT_ID and CLIENT_SECRET are
// its credentials. With SUBJECT_TOKEN it acts for the user who consented, otherwise for itself.

const { MCP_URL = 'http://127.0.0.1:8080/mcp', CLIENT_ID = '', CLIENT_SECRET = '', SUBJECT_TOKEN } = process.env;
const [tool = 'list_notes', text = '{}'] = process.argv.slice(2);

const credentials = { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, expectedIssuer: new URL(MCP_URL).origin };
const authProvider =
  SUBJECT_TOKEN === undefined
    ? new ClientCredentialsProvider(credentials)
    : new OnBehalfOf({ ...credentials, subjectToken: SUBJECT_TOKEN });

const client = new Client({ name: 'notes-agent', version: '1.0.0' });
try {
  // Without a token, the gateway's challenge gives the SDK the metadata's URL, and the metadata the token endpoint's.
  await client.connect(new StreamableHTTPClientTransport(new URL(MCP_URL), { authProvider }));
  const { content } = await client.callTool({ name: tool, arguments: JSON.parse(text) });
  for (const part of content) process.stdout.write(`${part.type === 'text' ? part.text : part.type}\n`);
} catch (error) {
  process.stdout.write(`${error}\n`);
  process.exitCode = 1;
} finally {
  await client.close();
}
