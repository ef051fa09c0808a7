import { type Api, describeApi } from '@countersign/service-kit';
import { errorTable } from '../../errors.ts';
import { explainEndpoint } from './api/explain.ts';
import { views } from './console-data.ts';

const api: Api = {
  title: 'Countersign console',
  description:
    'What the console on the admin listener shows, as JSON. With several workers, `?worker=N` is one of them; otherwise their data is merged.',
  tags: [
    { name: 'Traffic', description: 'Requests, by route and one by one.' },
    { name: 'State', description: 'What the gateway depends on, and since when it is as it is.' },
    { name: 'Explain', description: 'How a request would be handled.' },
  ],
  errors: errorTable,
  endpoints: [...views.map(({ endpoint }) => endpoint), explainEndpoint],
};

/** The OpenAPI 3.1 description of the console. The listener has no login, so there are no security schemes. */
export function consoleApi(): Record<string, unknown> {
  const { components, ...description } = describeApi(api) as { components: { schemas: unknown } };
  return {
    ...description,
    servers: [{ url: '/', description: 'the admin listener, with `npm start` http://127.0.0.1:9090' }],
    components: { schemas: components.schemas },
  };
}
