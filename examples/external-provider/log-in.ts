import { Browser, callApi, logIn } from './browser.ts';

// Logs in at the provider, and calls the API through the gateway.

const { tokens } = await logIn(new Browser(), `http://127.0.0.1:${process.env.PROVIDER_PORT ?? 4000}`);

const without = await callApi();
process.stdout.write(`without a token: ${without.status}\n`);
const withIdToken = await callApi(tokens.id_token);
process.stdout.write(`with the ID token: ${withIdToken.status} ${JSON.parse(withIdToken.body).code}\n`);
const withAccessToken = await callApi(tokens.access_token);
process.stdout.write(`with the access token: ${withAccessToken.status}\n${withAccessToken.body}\n`);
