// Images as data: manifests made of layers, and what the repositories of a mock registry hold.

import { Body } from './body.ts';

/** Something that is known by a digest. */
export interface Stored {
  /** `sha256:…` */
  readonly digest: string;
  readonly mediaType: string;
  readonly body: Body;
}

export interface ImageOptions {
  readonly layers: readonly (string | Uint8Array | Body)[];
  readonly artifactType?: string;
  readonly subject?: Image;
  readonly annotations?: Readonly<Record<string, string>>;
  /** When its config says that it was made, RFC 3339. Default: it does not. */
  readonly created?: string;
}

export interface Image {
  /** Of the manifest. */
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly config: Stored;
  readonly layers: readonly Stored[];
}

const stored = (mediaType: string, content: string | Uint8Array | Body): Stored => {
  const body = Body.of(content);
  return { digest: `sha256:${body.sha256}`, mediaType, body };
};

const descriptor = ({ digest, mediaType, body }: Stored) => ({
  mediaType,
  digest,
  size: body.size,
});

/** The manifest of an OCI image, with its blobs. */
export function imageManifest({
  layers,
  artifactType,
  subject,
  annotations,
  created,
}: ImageOptions): Image {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const blobs = layers.map((layer) => stored('application/vnd.oci.image.layer.v1.tar', layer));
  const config = stored(
    'application/vnd.oci.image.config.v1+json',
    JSON.stringify({ created, architecture: 'amd64', os: 'linux', rootfs: { type: 'layers' } }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType,
    artifactType,
    config: descriptor(config),
    layers: blobs.map(descriptor),
    subject: subject && descriptor(stored(subject.mediaType, subject.bytes)),
    annotations,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { digest: stored(mediaType, bytes).digest, mediaType, bytes, config, layers: blobs };
}

/** An index of images, one a platform. */
export function imageIndex(images: Readonly<Record<string, Image>>) {
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const manifests = Object.entries(images).map(([architecture, image]) => ({
    ...descriptor(stored(image.mediaType, image.bytes)),
    platform: { architecture, os: 'linux' },
  }));
  return {
    mediaType,
    bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })),
  };
}

class Repository {
  readonly blobs = new Map<string, Stored>();
  readonly manifests = new Map<string, Stored>();
  readonly tags = new Map<string, string>();

  /** By tag or digest. */
  manifest(reference: string): Stored | undefined {
    return this.manifests.get(this.tags.get(reference) ?? reference);
  }

  tagNames(): string[] {
    return [...this.tags.keys()].sort();
  }

  /** Descriptors of what has this subject. */
  referrers(digest: string): object[] {
    return [...this.manifests.values()].flatMap((one) => {
      const { subject, artifactType, annotations, config } = JSON.parse(one.body.toString()) as {
        subject?: { digest: string };
        artifactType?: string;
        annotations?: object;
        config?: { mediaType: string };
      };
      if (subject?.digest !== digest) return [];
      const type = artifactType ?? config?.mediaType;
      return [{ ...descriptor(one), artifactType: type, annotations }];
    });
  }
}

export class Repositories {
  readonly #byName = new Map<string, Repository>();

  find(name: string): Repository | undefined {
    return this.#byName.get(name);
  }

  addManifest(
    name: string,
    tag: string | undefined,
    bytes: string | Uint8Array,
    mediaType: string,
  ): Stored {
    const added = stored(mediaType, bytes);
    const repository = this.#made(name);
    repository.manifests.set(added.digest, added);
    if (tag !== undefined) repository.tags.set(tag, added.digest);
    return added;
  }

  addBlob(name: string, content: string | Uint8Array | Body): Stored {
    const added = stored('application/octet-stream', content);
    this.#made(name).blobs.set(added.digest, added);
    return added;
  }

  remove(name: string, reference: string): void {
    const { tags, manifests, blobs } = this.#made(name);
    tags.delete(reference);
    manifests.delete(reference);
    blobs.delete(reference);
  }

  #made(name: string): Repository {
    const repository = this.#byName.get(name) ?? new Repository();
    this.#byName.set(name, repository);
    return repository;
  }
}
