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

/** Servers with the same certificate and key. */
export class TlsServers {
  readonly #files: TlsFiles;
  readonly #logger: Logger;
  readonly #watch: FileWatch;
  readonly #servers: https.Server[] = [];
  #held: { readonly cert: Buffer; readonly key: Buffer };

  /** Watches the files until it is closed. Throws StartError when they cannot be read. */
  constructor(files: TlsFiles, logger: Logger) {
    this.#files = files;
    this.#logger = logger;
    this.#held = {
      cert: readTlsFile('LARDER_TLS_CERT_FILE', files.certFile),
      key: readTlsFile('LARDER_TLS_KEY_FILE', files.keyFile),
    };
    this.#watch = new FileWatch(
      {
        name: 'LARDER_TLS_CERT_FILE, LARDER_TLS_KEY_FILE',
        files: [files.certFile, files.keyFile],
        reload: () => this.#reload(),
      },
      logger,
    );
  }

  /** A server that does not listen yet. Throws StartError when certificate and key cannot be used. */
  create(options: ServerOptions): Server {
    let server: https.Server;
    try {
      server = https.createServer({ ...options, ...this.#held, handshakeTimeout: 10_000 });
    } catch (error) {
      this.close();
      const { certFile, keyFile } = this.#files;
      throw new StartError(
        `LARDER_TLS_CERT_FILE="${certFile}" and LARDER_TLS_KEY_FILE="${keyFile}" ${unfit}`,
        { cause: error },
      );
    }
    server.on('tlsClientError', (error) => {
      this.#logger.debug({ err: error }, 'a TLS handshake failed');
    });
    this.#servers.push(server);
    return server;
  }

  /** Ends the watch; the servers stay. */
  close(): void {
    this.#watch.close();
  }

  async #reload(): Promise<boolean> {
    const { certFile, keyFile } = this.#files;
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    if (cert.equals(this.#held.cert) && key.equals(this.#held.key)) return false;
    try {
      // a server itself would be left with half of what does not fit
      createSecureContext({ cert, key });
    } catch (cause) {
      throw new Error(`the certificate and the key ${unfit}`, { cause });
    }
    for (const server of this.#servers) server.setSecureContext({ cert, key });
    this.#held = { cert, key };
    return true;
  }
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
