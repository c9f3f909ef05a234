// What the settings of S3 must be to each other.

/** Where and how, as the store wants to know it. */
export interface S3Settings {
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  /** URL; undefined: Amazon's. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Undefined: what Amazon's chain of providers finds. */
  readonly credentials:
    { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  readonly redirect: boolean;
  /** Bytes; 0: no cache on the disk. */
  readonly diskCache: number;
}

interface Values {
  readonly LARDER_STORAGE: 'file' | 's3';
  readonly LARDER_S3_BUCKET?: string | undefined;
  readonly LARDER_S3_PREFIX: string;
  readonly LARDER_S3_REGION: string;
  readonly LARDER_S3_ENDPOINT?: string | undefined;
  readonly LARDER_S3_FORCE_PATH_STYLE: boolean;
  readonly LARDER_S3_REDIRECT: boolean;
  readonly LARDER_S3_DISK_CACHE: number;
  readonly LARDER_S3_ACCESS_KEY_ID?: string | undefined;
  readonly LARDER_S3_SECRET_ACCESS_KEY?: string | undefined;
}

/** As an end of the sentence `NAME="value" …`; undefined: all is well. */
export function urlProblem(value: string): string | undefined {
  const url = URL.parse(value);
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.username === '';
  return isPlain ? undefined : 'is not an address: give one such as https://s3.example.com';
}

/** A sentence for each problem. */
export function s3Problems(values: Values, given: Readonly<NodeJS.ProcessEnv>): string[] {
  if (values.LARDER_STORAGE !== 's3') {
    return values.LARDER_S3_BUCKET === undefined
      ? []
      : ['LARDER_S3_BUCKET is set, and LARDER_STORAGE is not s3: set that too, or leave this out.'];
  }
  const problems: string[] = [];
  if (values.LARDER_S3_BUCKET === undefined)
    problems.push('LARDER_S3_BUCKET is not set: LARDER_STORAGE=s3 needs the name of a bucket.');
  if (given['LARDER_STORAGE_DIR'] !== undefined)
    problems.push('LARDER_STORAGE_DIR is of LARDER_STORAGE=file: leave it out with s3.');
  const { LARDER_S3_ACCESS_KEY_ID: id, LARDER_S3_SECRET_ACCESS_KEY: secret } = values;
  if ((id === undefined) !== (secret === undefined))
    problems.push(
      'LARDER_S3_ACCESS_KEY_ID and LARDER_S3_SECRET_ACCESS_KEY go together: set both, or neither for the credentials of the machine.',
    );
  return problems;
}

export function s3Of(values: Values): S3Settings | undefined {
  const { LARDER_S3_BUCKET: bucket, LARDER_STORAGE: storage } = values;
  if (storage !== 's3' || bucket === undefined) return undefined;
  const { LARDER_S3_ACCESS_KEY_ID: accessKeyId, LARDER_S3_SECRET_ACCESS_KEY: secretAccessKey } =
    values;
  return {
    bucket,
    prefix: values.LARDER_S3_PREFIX,
    region: values.LARDER_S3_REGION,
    endpoint: values.LARDER_S3_ENDPOINT,
    forcePathStyle: values.LARDER_S3_FORCE_PATH_STYLE,
    credentials:
      accessKeyId === undefined || secretAccessKey === undefined
        ? undefined
        : { accessKeyId, secretAccessKey },
    redirect: values.LARDER_S3_REDIRECT,
    diskCache: values.LARDER_S3_DISK_CACHE,
  };
}
