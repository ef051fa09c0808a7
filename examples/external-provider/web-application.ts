/** Settings that the provider and the web application share. */
export const webApplication = {
  clientId: 'web',
  secret: 'a-secret-for-this-example-alone',
  redirectUri: 'http://127.0.0.1:3001/callback',
};

/** The API's name at the provider (RFC 8707). */
export const api = 'https://orders.example.test/';
