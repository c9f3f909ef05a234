// A folder of a bucket, by the AWS SDK: the only file that knows it. What it throws is the SDK's own (s3-failure.ts).

import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type ListMultipartUploadsCommandOutput,
  type ListObjectsV2CommandOutput,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { LarderError } from '../engine/errors.ts';

/** Sockets for calls, and others for long bodies: clients that read slowly must not make calls wait. */
const CALL_SOCKETS = 128;
const BODY_SOCKETS = 1024;
/** Seconds. */
const URL_LIFE = 15 * 60;

export interface S3Options {
  readonly bucket: string;
  /** Folder in the bucket; empty for its root. */
  readonly prefix: string;
  readonly region: string;
  /** URL. Default: Amazon's of the region. */
  readonly endpoint?: string;
  readonly forcePathStyle: boolean;
  /** Default: what Amazon's chain of providers finds. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Milliseconds for a call, or without progress in a body or an upload. */
  readonly callTimeoutMs: number;
}

/** What an object says about itself. */
export interface ObjectHead {
  readonly etag: string | undefined;
  /** Bytes of this answer. */
  readonly length: number;
  readonly contentRange: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ObjectAnswer extends ObjectHead {
  /** Whoever got it reads or destroys it. */
  readonly stream: Readable;
  /** The whole of it. */
  bytes(): Promise<Uint8Array>;
}

/** What an object is created with. */
export interface ObjectFields {
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Only where there is none yet: what the server makes of it is another matter. */
export interface Condition {
  readonly ifAbsent: boolean;
}

/** An upload in parts that is not joined yet. */
export interface Upload {
  readonly key: string;
  readonly id: string;
}

export class S3Bucket {
  readonly #bucket: string;
  readonly #folder: string;
  readonly #calls: S3Client;
  readonly #bodies: S3Client;

  /** Asks nothing yet. Call `close` at the end. */
  constructor(options: S3Options) {
    this.#bucket = options.bucket;
    const folder = options.prefix.replace(/^\/+|\/+$/g, '');
    this.#folder = folder && `${folder}/`;
    this.#calls = new S3Client(clientConfig(options, CALL_SOCKETS));
    this.#bodies = new S3Client(clientConfig(options, BODY_SOCKETS));
  }

  close(): void {
    this.#calls.destroy();
    this.#bodies.destroy();
  }

  /** `range` as in `bytes=0-9`. Resolves when the answer begins. */
  get(key: string, range: string | undefined, abortSignal: AbortSignal): Promise<ObjectAnswer> {
    return this.#get(this.#calls, key, range, abortSignal);
  }

  /** As `get`, for what may take as long as a client reads. */
  getLong(key: string, range: string, abortSignal: AbortSignal): Promise<ObjectAnswer> {
    return this.#get(this.#bodies, key, range, abortSignal);
  }

  async head(key: string, abortSignal: AbortSignal): Promise<ObjectHead> {
    const command = new HeadObjectCommand(this.#at(key));
    return headOf(await this.#calls.send(command, { abortSignal }));
  }

  /** `sha256`, hex, is checked by the server. A stream has `length` bytes, and is not tried a second time. */
  async put(
    key: string,
    body: Uint8Array | Readable,
    fields: ObjectFields & Condition & { readonly length: number; readonly sha256: string },
    abortSignal: AbortSignal,
  ): Promise<void> {
    const command = new PutObjectCommand({
      ...this.#at(key),
      Body: body,
      ContentLength: fields.length,
      ContentType: fields.contentType,
      Metadata: fields.metadata,
      ChecksumSHA256: Buffer.from(fields.sha256, 'hex').toString('base64'),
      IfNoneMatch: ifNoneMatch(fields),
    });
    command.middlewareStack.add(payloadHash(fields.sha256), { step: 'build' });
    await this.#clientFor(body).send(command, { abortSignal });
  }

  /** Nothing there is no error. */
  async delete(key: string, abortSignal: AbortSignal): Promise<void> {
    await this.#calls.send(new DeleteObjectCommand(this.#at(key)), { abortSignal });
  }

  /** One page of what is below a folder key: full keys without the folder's own, up to the delimiter. */
  async list(
    folder: string,
    { delimiter, after }: { delimiter: '/' | undefined; after: string | undefined },
    abortSignal: AbortSignal,
  ) {
    const { Bucket, Key } = this.#at(folder);
    const Prefix = Key === '' || Key.endsWith('/') ? Key : `${Key}/`;
    const input = { Bucket, Prefix, Delimiter: delimiter, ContinuationToken: after };
    const page: ListObjectsV2CommandOutput = await this.#calls.send(
      new ListObjectsV2Command(input),
      { abortSignal },
    );
    const keys = [
      ...(page.Contents ?? []).map((object) => object.Key),
      ...(page.CommonPrefixes ?? []).map((below) => below.Prefix),
    ];
    return {
      names: keys.map((key) => key?.slice(Prefix.length) ?? '').filter((name) => name !== ''),
      next: page.IsTruncated === true ? page.NextContinuationToken : undefined,
    };
  }

  /** A GET of it for a quarter of an hour. */
  presign(key: string, contentType?: string, disposition?: string): Promise<string> {
    const command = new GetObjectCommand({
      ...this.#at(key),
      ResponseContentType: contentType,
      ResponseContentDisposition: disposition,
    });
    return getSignedUrl(this.#calls, command, { expiresIn: URL_LIFE });
  }

  async beginUpload(key: string, fields: ObjectFields, abortSignal: AbortSignal): Promise<Upload> {
    const { contentType, metadata } = fields;
    const input = { ...this.#at(key), ContentType: contentType, Metadata: metadata };
    const command = new CreateMultipartUploadCommand(input);
    const { UploadId = '' } = await this.#calls.send(command, { abortSignal });
    return { key, id: UploadId };
  }

  /** Resolves with the part's entity tag. */
  async putPart(
    upload: Upload,
    part: { readonly number: number; readonly length: number; readonly sha256: string },
    body: Readable,
    abortSignal: AbortSignal,
  ): Promise<string> {
    const command = new UploadPartCommand({
      ...this.#of(upload),
      PartNumber: part.number,
      ContentLength: part.length,
      Body: body,
    });
    command.middlewareStack.add(payloadHash(part.sha256), { step: 'build' });
    return (await this.#bodies.send(command, { abortSignal })).ETag ?? '';
  }

  async joinParts(
    upload: Upload,
    etags: readonly string[],
    condition: Condition,
    abortSignal: AbortSignal,
  ): Promise<void> {
    const Parts = etags.map((ETag, i) => ({ ETag, PartNumber: i + 1 }));
    const command = new CompleteMultipartUploadCommand({
      ...this.#of(upload),
      MultipartUpload: { Parts },
      IfNoneMatch: ifNoneMatch(condition),
    });
    await this.#bodies.send(command, { abortSignal });
  }

  async abortUpload(upload: Upload, abortSignal: AbortSignal): Promise<void> {
    const command = new AbortMultipartUploadCommand(this.#of(upload));
    await this.#calls.send(command, { abortSignal });
  }

  /** One page of the uploads in this folder that are not joined; `after` is the `next` of the page before. */
  async listUploads(after: UploadMarker | undefined, abortSignal: AbortSignal) {
    const { Bucket, Key: Prefix } = this.#at('');
    const command = new ListMultipartUploadsCommand({ Bucket, Prefix, ...after });
    const page: ListMultipartUploadsCommandOutput = await this.#calls.send(command, {
      abortSignal,
    });
    const uploads = (page.Uploads ?? []).map(({ Key = '', UploadId = '', Initiated }) => ({
      upload: { key: Key.slice(Prefix.length), id: UploadId },
      begunMs: Initiated?.getTime() ?? Infinity,
    }));
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    const next: UploadMarker | undefined =
      page.IsTruncated === true ? { KeyMarker, UploadIdMarker } : undefined;
    return { uploads, next };
  }

  async #get(
    client: S3Client,
    key: string,
    Range: string | undefined,
    abortSignal: AbortSignal,
  ): Promise<ObjectAnswer> {
    const command = new GetObjectCommand({ ...this.#at(key), Range });
    const answer = await client.send(command, { abortSignal });
    const { Body } = answer;
    // on Node.js it is a stream of Node.js, and there is always one
    if (Body === undefined) throw new LarderError('store_failed', 'the store answered nothing');
    const stream = Body as Readable;
    return { ...headOf(answer), stream, bytes: () => Body.transformToByteArray() };
  }

  #clientFor(body: Uint8Array | Readable): S3Client {
    return body instanceof Uint8Array ? this.#calls : this.#bodies;
  }

  /** Throws LarderError `invalid` for names that leave the store. */
  #at(key: string): { Bucket: string; Key: string } {
    if (key.startsWith('/') || key.split('/').includes('..')) {
      throw new LarderError('invalid', 'a name may not leave the store');
    }
    return { Bucket: this.#bucket, Key: this.#folder + key };
  }

  #of({ key, id }: Upload) {
    return { ...this.#at(key), UploadId: id };
  }
}

interface UploadMarker {
  readonly KeyMarker: string | undefined;
  readonly UploadIdMarker: string | undefined;
}

function clientConfig(options: S3Options, maxSockets: number): S3ClientConfig {
  const { region, endpoint, forcePathStyle, credentials, callTimeoutMs } = options;
  return {
    region,
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
    maxAttempts: 2,
    // many servers refuse the SDK's own checksums; the hash of the payload is checked by all
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // it would cost a connection of its own
    expectContinueHeader: false,
    requestHandler: {
      // so that the second try comes within the time of a call
      connectionTimeout: Math.ceil(callTimeoutMs / 3),
      httpAgent: { keepAlive: true, maxSockets },
      httpsAgent: { keepAlive: true, maxSockets },
    },
    // else it writes to the console
    logger: silent,
  };
}

const ignore = () => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore };

const ifNoneMatch = ({ ifAbsent }: Condition): '*' | undefined => (ifAbsent ? '*' : undefined);

/** Signs what is to come by its hash, so that the server compares: the SDK itself leaves streams unsigned. */
function payloadHash(sha256: string) {
  return <Args extends { request: unknown }, Result>(next: (args: Args) => Result) =>
    (args: Args): Result => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = sha256;
      return next(args);
    };
}

interface SdkHead {
  readonly ETag?: string | undefined;
  readonly ContentLength?: number | undefined;
  readonly ContentRange?: string | undefined;
  readonly Metadata?: Record<string, string> | undefined;
}

const headOf = (answer: SdkHead): ObjectHead => ({
  etag: answer.ETag,
  length: answer.ContentLength ?? 0,
  contentRange: answer.ContentRange,
  metadata: answer.Metadata ?? {},
});
