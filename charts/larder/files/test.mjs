// What `helm test` asks a release: the API of images, and the versions of one module.

const { SCHEME, SERVICE_HOST, SERVICE_PORT, MODULE, USERS } = process.env;
const host = SERVICE_HOST.includes(':') ? `[${SERVICE_HOST}]` : SERVICE_HOST;
const expected = USERS === 'true' ? 401 : 200;
// as go writes capitals in addresses
const module = MODULE.replace(/[A-Z]/g, (capital) => `!${capital.toLowerCase()}`);
for (const path of ['/v2/', `/${module}/@v/list`]) {
  const address = `${SCHEME}://${host}:${SERVICE_PORT}${path}`;
  const answer = await fetch(address, { signal: AbortSignal.timeout(90_000) });
  const text = await answer.text();
  console.log(`${address}: ${answer.status}`);
  if (answer.status !== expected) {
    console.error(`${expected} was expected. The answer says: ${text}`);
    process.exitCode = 1;
  }
}
