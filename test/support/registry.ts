// A registry on loopback whose images are data, with an exact log and faults by path; if wished with a token service and a
// CDN, each a server of its own with its own log and faults.

import type { Answer } from './answers.ts';
import { FaultServer, json, type Asked, type FaultServerOptions } from './fault-server.ts';
import {
  imageManifest,
  Repositories,
  type Image,
  type ImageOptions,
  type Stored,
} from './images.ts';
import { basicAuthorization, type TokenService } from './token-service.ts';

export interface RegistryOptions extends FaultServerOptions {
  /** Wants a token of this service. */
  readonly tokens?: TokenService;
  /** Wants Basic credentials: `user:password`. */
  readonly basic?: string;
  /** In place of the challenge that says so. */
  readonly challenge?: string | string[];
  /** Redirects every blob there. */
  readonly cdn?: Cdn;
  /** Whether it has the referrers API. Default true. */
  readonly referrers?: boolean;
  /** Most tags on a page. */
  readonly pageSize?: number;
}

const error = (status: number, code: string): Answer =>
  json(status, { errors: [{ code, message: `this mock registry says ${code}` }] });

/** Starts one; it ends with the test or file. */
export const startRegistry = (options: RegistryOptions = {}): Promise<Registry> =>
  new Registry(options).up();

export class Registry extends FaultServer {
  readonly #options: RegistryOptions;
  readonly #repositories = new Repositories();

  constructor(options: RegistryOptions) {
    super((asked) => this.#route(asked), options);
    this.#options = options;
  }

  /** Makes an image of these layers and serves it, by its digest and, if there is one, by its tag. */
  addImage(repository: string, tag: string | undefined, options: ImageOptions): Image {
    const image = imageManifest(options);
    for (const { body } of [image.config, ...image.layers]) this.addBlob(repository, body);
    this.addManifest(repository, tag, image.bytes, image.mediaType);
    return image;
  }

  /** Serves bytes as a manifest, by their digest and, if there is one, by a tag; what the tag was before goes. */
  addManifest(
    repository: string,
    tag: string | undefined,
    bytes: string | Uint8Array,
    mediaType: string,
  ): Stored {
    return this.#repositories.addManifest(repository, tag, bytes, mediaType);
  }

  addBlob(repository: string, body: Stored['body'] | string | Uint8Array): Stored {
    return this.#repositories.addBlob(repository, body);
  }

  /** Takes a tag, or all that is known by a digest. */
  remove(repository: string, reference: string): void {
    this.#repositories.remove(repository, reference);
  }

  #route(asked: Asked): Answer {
    const [, repository = '', kind = '', last = ''] =
      /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(asked.path) ?? [];
    const refusal = this.#refusal(asked, repository);
    if (refusal) return refusal;
    if (asked.path === '/v2/') return json(200, {});
    const found = this.#repositories.find(repository);
    if (found === undefined) return error(404, 'NAME_UNKNOWN');
    if (kind === 'tags') return this.#tags(asked, repository, found.tagNames());
    if (kind === 'referrers') {
      if (this.#options.referrers === false) return error(404, 'UNSUPPORTED');
      const mediaType = 'application/vnd.oci.image.index.v1+json';
      const index = { schemaVersion: 2, mediaType, manifests: found.referrers(last) };
      return json(200, index, mediaType);
    }
    if (kind === 'blobs') return this.#blob(found.blobs.get(last));
    const manifest = found.manifest(last);
    return manifest ? file(manifest) : error(404, 'MANIFEST_UNKNOWN');
  }

  #blob(stored: Stored | undefined): Answer {
    if (stored === undefined) return error(404, 'BLOB_UNKNOWN');
    const { cdn } = this.#options;
    if (cdn === undefined) return file(stored);
    return { ...json(307, {}), headers: { location: cdn.offer(stored) } };
  }

  #tags({ query }: Asked, repository: string, all: readonly string[]): Answer {
    const { pageSize = Infinity } = this.#options;
    const after = query.get('last') ?? '';
    const size = Math.min(Number(query.get('n') ?? pageSize), pageSize);
    const left = all.filter((tag) => tag > after);
    const tags = left.slice(0, size);
    const answer = json(200, { name: repository, tags });
    if (tags.length === left.length) return answer;
    const next = `/v2/${repository}/tags/list?last=${tags.at(-1) ?? ''}&n=${String(size)}`;
    return { ...answer, headers: { ...answer.headers, link: `<${next}>; rel="next"` } };
  }

  /** The 401 for who does not show what is wanted. */
  #refusal({ headers }: Asked, repository: string): Answer | undefined {
    const { tokens, basic, challenge } = this.#options;
    const authorization = headers.authorization ?? '';
    let due: string | undefined;
    if (tokens && !tokens.grants(authorization, repository)) {
      due = `Bearer realm="${tokens.realm}",service="mock",scope="repository:${repository}:pull"`;
    }
    if (basic !== undefined && authorization !== basicAuthorization(basic)) {
      due = 'Basic realm="mock"';
    }
    if (due === undefined) return undefined;
    const answer = error(401, 'UNAUTHORIZED');
    return { ...answer, headers: { ...answer.headers, 'www-authenticate': challenge ?? due } };
  }
}

const file = ({ body, mediaType, digest }: Stored): Answer => ({
  status: 200,
  headers: { 'content-type': mediaType, 'docker-content-digest': digest },
  body,
  isFile: true,
});

/** Where a registry's blobs are fetched: each time at another URL. */
export class Cdn extends FaultServer {
  readonly #offers = new Map<string, Stored>();

  constructor(options: FaultServerOptions = {}) {
    super(({ path }) => {
      const stored = this.#offers.get(path);
      return stored ? { ...file(stored), headers: {} } : error(404, 'no such offer');
    }, options);
  }

  /** The URL of a blob, for one request. */
  offer(stored: Stored): string {
    const path = `/blob/${String(this.#offers.size + 1)}`;
    this.#offers.set(path, stored);
    return this.url + path;
  }
}

export const startCdn = (options: FaultServerOptions = {}): Promise<Cdn> => new Cdn(options).up();
