import { type Api, describeApi } from '@countersign/service-kit';
import { errorTable } from '../../errors.ts';
import { explainEndpoint } from '../api/explain.ts';
import { views } from './console-data.ts';

const api: Api = {
  title: 'Countersign console',
  description:
    'What the console on the admin listener shows, as JSON. With several workers, their data is merged; `?worker=N` selects one.',
  tags: [
    { name: 'Traffic', description: 'Requests, by route and individually.' },
    { name: 'State', description: 'The state of each part of the gateway, and when it began.' },
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
