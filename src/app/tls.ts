// HTTPS by a certificate and a key in files, which may be replaced while Larder runs.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import type { Server, ServerOptions } from 'node:http';
import { createSecureContext } from 'node:tls';

import type { Logger } from '../observability/logger.ts';
import type { Config } from './config.ts';
import { StartError, fileReason } from './start-error.ts';
import { FileWatch } from './watched-files.ts';

type TlsFiles = NonNullable<Config['tls']>;

/** A server, and the watch of its files, which whoever stops it closes. Throws StartError when they cannot be used. */
export function tlsServer(
  files: TlsFiles,
  options: ServerOptions,
  logger: Logger,
): { readonly server: Server; readonly watch: FileWatch } {
  let held = {
    cert: readTlsFile('LARDER_TLS_CERT_FILE', files.certFile),
    key: readTlsFile('LARDER_TLS_KEY_FILE', files.keyFile),
  };
  let server: https.Server;
  try {
    server = https.createServer({ ...options, ...held, handshakeTimeout: 10_000 });
  } catch (error) {
    throw new StartError(
      `LARDER_TLS_CERT_FILE="${files.certFile}" and LARDER_TLS_KEY_FILE="${files.keyFile}" ${unfit}`,
      { cause: error },
    );
  }
  server.on('tlsClientError', (error) => {
    logger.debug({ err: error }, 'a TLS handshake failed');
  });
  const reload = async (): Promise<boolean> => {
    const [cert, key] = await Promise.all([files.certFile, files.keyFile].map(again));
    if (cert === undefined || key === undefined) return false;
    if (cert.equals(held.cert) && key.equals(held.key)) return false;
    try {
      // the server itself would be left with half of what does not fit
      createSecureContext({ cert, key });
    } catch (cause) {
      throw new Error(`the certificate and the key ${unfit}`, { cause });
    }
    server.setSecureContext({ cert, key });
    held = { cert, key };
    return true;
  };
  const name = 'LARDER_TLS_CERT_FILE, LARDER_TLS_KEY_FILE';
  const watch = new FileWatch({ name, files: [files.certFile, files.keyFile], reload }, logger);
  return { server, watch };
}

const unfit =
  'cannot be used: give a certificate and its own private key without a passphrase, both as PEM.';

function readTlsFile(name: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new StartError(`${name}="${file}" cannot be read: ${fileReason(error)}.`, {
      cause: error,
    });
  }
}

const again = (file: string): Promise<Buffer> => readFile(file);
