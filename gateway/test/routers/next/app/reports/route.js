export const GET = () => new Response('', { headers: { 'x-handler': 'reports' } });
