// HEALTHCHECK of the image: 0 when /healthz of the Larder in this container answers 200, by the settings that it has.

import http from 'node:http';
import https from 'node:https';

const {
  LARDER_HOST: host = '0.0.0.0',
  LARDER_PORT: port = '3000',
  LARDER_TLS_CERT_FILE: certificate = '',
} = process.env;
const { get } = certificate === '' ? http : https;
get(
  {
    host: ['', '0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host,
    port: port === '' ? 3000 : port,
    path: '/healthz',
    timeout: 4000,
    // it is on this machine, under whatever name its certificate has
    rejectUnauthorized: false,
  },
  ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1),
)
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));
