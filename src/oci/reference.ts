// Names of images as people write them: `nginx`, `ghcr.io/owner/image:1.2`, `localhost:5000/app@sha256:…`.

import { LarderError } from '../engine/errors.ts';
import { digestText } from './digest.ts';
import { checkName, digestOf, tagOf } from './names.ts';
import {
  canonicalHost,
  looksLikeHost,
  UPSTREAM_NAME,
  type OciUpstream,
  type OciUpstreams,
  type Repository,
} from './upstreams.ts';

/** The parts of a name, none of them judged yet. */
export interface ReferenceParts {
  /** With the registry's host in front, where there is one. */
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** Throws LarderError `invalid` for more than one tag or digest. */
export function splitReference(text: string): ReferenceParts {
  const [name = '', digest, ...more] = text.split('@');
  // a colon before the first slash is one of a host
  const slash = name.indexOf('/');
  const [path = '', tag, ...tags] = name.slice(slash + 1).split(':');
  if (more.length > 0 || tags.length > 0) {
    throw new LarderError(
      'invalid',
      'a name has one tag or one digest: HOST/REPO:TAG or HOST/REPO@sha256:HEX',
    );
  }
  return { repository: name.slice(0, slash + 1) + path, tag, digest };
}

/** A manifest that is asked for. */
export interface ImageName {
  /** In its one spelling: `docker.io/library/nginx:1.27`, `ghcr.io/owner/image@sha256:…`. */
  readonly name: string;
  /** Where it may be, the likelier one first; at least one. */
  readonly repositories: readonly Repository[];
  /** Undefined where there is a digest, which decides alone. */
  readonly tag: string | undefined;
  /** The tag or the digest, as it stands in a path. */
  readonly reference: string;
}

/**
 * Without a host it is in the default registry, without tag and digest its tag is `latest`. Throws LarderError `invalid` for
 * what is no name, and for a host that is not configured.
 */
export function parseImageName(text: string, upstreams: OciUpstreams): ImageName {
  const { repository, ...target } = splitReference(text);
  const [first = '', ...others] = repository.split('/');
  if (others.length > 0 && looksLikeHost(first) && !upstreams.has(first)) {
    throw new LarderError(
      'invalid',
      `${canonicalHost(first)} is no registry that is asked: LARDER_OCI_UPSTREAMS lists those`,
    );
  }
  const isHost = others.length > 0 && upstreams.has(first);
  const path = isHost ? others : [first, ...others];
  checkName(path, path.join('/').length);
  return imageName(upstreams.choose({ namespaces: [], name: repository }), target);
}

/** The same, for a Larder that is asked in place of all registries; which it has is for it to say. */
export function parseNameForServer(text: string, server: OciUpstream): ImageName {
  const { repository, ...target } = splitReference(text);
  const [first = '', ...others] = repository.split('/');
  const host = canonicalHost(first);
  const isHost = others.length > 0 && looksLikeHost(host);
  if (isHost && !UPSTREAM_NAME.test(host))
    throw new LarderError('invalid', 'this is no host of a registry, with or without a port');
  const path = isHost ? others : [first, ...others];
  checkName(path, path.join('/').length);
  const named = isHost ? [host, ...others].join('/') : repository;
  return imageName([{ upstream: server, path: named }], target);
}

function imageName(
  repositories: readonly Repository[],
  { tag, digest }: Pick<ReferenceParts, 'tag' | 'digest'>,
): ImageName {
  const [likeliest] = repositories;
  const repository = `${likeliest?.upstream.name ?? ''}/${likeliest?.path ?? ''}`;
  const judged = tag === undefined ? 'latest' : tagOf(tag);
  if (digest === undefined)
    return { name: `${repository}:${judged}`, repositories, tag: judged, reference: judged };
  const reference = digestText(digestOf(digest));
  return { name: `${repository}@${reference}`, repositories, tag: undefined, reference };
}
