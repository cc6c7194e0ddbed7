// An OpenID Connect provider for tests, on a port of its own on this machine: whoever is named by `login_hint` is logged in.
// What it knows of people, and where it leads back to, are its arguments. It prints its address as a line of JSON.

import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [directory, redirectUri, people] = process.argv.slice(2);
const entry = join(directory, 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(entry).href);
const known = JSON.parse(people);

// Nobody reads the standard output beyond the address.
console.log = console.info = console.warn = console.error;

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'farm', client_secret: 'the-secret-of-oidc', redirect_uris: [redirectUri] }],
    cookies: { keys: ['a key of tests'] },
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => known[sub] && { accountId: sub, claims: () => ({ sub, ...known[sub] }) },
  });
  const interact = async (request, response) => {
    const { params } = await provider.interactionDetails(request, response);
    const accountId = params.login_hint;
    if (!known[accountId]) {
      const refused = { error: 'access_denied', error_description: 'nobody of that name' };
      await provider.interactionFinished(request, response, refused);
      return;
    }
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    grant.addOIDCScope('openid profile email groups');
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(request, response, { login: { accountId }, consent });
  };
  const callback = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/interaction/')) {
      callback(request, response);
      return;
    }
    interact(request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
