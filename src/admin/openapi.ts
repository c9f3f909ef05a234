// The OpenAPI document of the admin API, at /admin/openapi.json. A test holds it and the routes together.

const json = (schema: object) => ({ content: { 'application/json': { schema } } });
const text = { type: 'string' } as const;
const count = { type: 'integer', minimum: 0 } as const;
const unknownCount = { type: ['integer', 'null'], minimum: 0 } as const;
const time = { type: 'string', format: 'date-time' } as const;
const unknownTime = { type: ['string', 'null'], format: 'date-time' } as const;

/** An object of which all members are there. */
const object = (properties: Readonly<Record<string, object>>, more = false) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  ...(more && { additionalProperties: true }),
});
const list = (items: object) => ({ type: 'array', items });

const error = (description: string) => ({ description, ...json(object({ error: text })) });
const tooLong = error('the body is too long');
const answers = (description: string, schema: object, ...also: (400 | 404 | 413 | 503)[]) => ({
  200: { description, ...json(schema) },
  ...(also.includes(400) && { 400: error('what was sent is wrong; the sentence says how') }),
  401: error('no token, or a wrong one'),
  ...(also.includes(404) && { 404: error('nothing is stored by that name') }),
  ...(also.includes(413) && { 413: tooLong }),
  ...(also.includes(503) && { 503: error('the store cannot be reached; ask again') }),
});

const texts = (description: string) => ({ anyOf: [text, list(text)], description });
const name = {
  go: { ...text, description: 'a module, or a version of it as M@V' },
  oci: { ...text, description: 'HOST/REPO, HOST/REPO:TAG or HOST/REPO@DIGEST' },
};
const order = (properties: Readonly<Record<string, object>>) => ({
  required: true,
  ...json({ type: 'object', properties, additionalProperties: false, minProperties: 1 }),
});

const state = { storedAt: unknownTime, lastUse: unknownTime, pinned: { type: 'boolean' } };

const parameter = (of: string, description: string, schema: object = text) => ({
  name: of,
  in: 'query',
  description,
  schema,
});
const page = [
  parameter('prefix', 'what names begin with, without the protocol'),
  parameter('after', 'the last name of the page before, as its `next` says'),
  parameter('limit', 'how many at most', {
    type: 'integer',
    minimum: 1,
    maximum: 1000,
    default: 100,
  }),
];
const listing = (kind: string, what: string) => ({
  get: {
    summary: `Lists ${what}.`,
    parameters: page,
    responses: answers(
      'a page; `next` is there where more follow',
      {
        type: 'object',
        properties: {
          [kind]: list(object({ name: text, bytes: count, ...state }, true)),
          next: text,
        },
        required: [kind],
      },
      400,
      503,
    ),
  },
});
const one = (what: string) => ({
  get: {
    summary: `Shows ${what}: where it came from, when, its digests, who refers to it and to whom it refers.`,
    parameters: [{ name: 'name', in: 'path', required: true, schema: text }],
    responses: answers(
      'all that is known of it',
      object({ name: text, ...state }, true),
      400,
      404,
      503,
    ),
  },
});
const job = object(
  {
    id: text,
    kind: text,
    state: { enum: ['running', 'done', 'failed', 'cancelled'] },
    progress: object({ done: count, total: count }),
    result: { type: ['object', 'null'], additionalProperties: true },
  },
  true,
);
const jobId = [{ name: 'id', in: 'path', required: true, schema: text }];
const started = (summary: string, options: Readonly<Record<string, object>>) => ({
  post: {
    summary: `${summary} Goes on when its client leaves.`,
    requestBody: { ...json({ type: 'object', properties: options, additionalProperties: false }) },
    responses: {
      202: {
        description: 'it has begun, or waits for its turn; `Location` is where it tells of itself',
        headers: { Location: { schema: text } },
        ...json(object({ id: text })),
      },
      400: error('what was sent is wrong; the sentence says how'),
      401: error('no token, or a wrong one'),
      413: tooLong,
      503: error('too many of its kind wait already'),
    },
  },
});
const pinned = answers(
  'whether it is pinned now',
  object({ name: text, pinned: { type: 'boolean' } }),
  400,
  413,
  503,
);

export const openApi = {
  openapi: '3.1.0',
  info: { title: 'Larder: admin API', version: '1' },
  servers: [{ url: '/admin' }],
  security: [{ token: [] }],
  components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  paths: {
    '/purge': {
      post: {
        summary: 'Takes a name out of the store, with what nothing else holds.',
        requestBody: order({ ...name, dryRun: { type: 'boolean', default: false } }),
        responses: answers(
          'what went, or would go',
          object({ purged: list(text), freedBytes: count }),
          400,
          413,
          503,
        ),
      },
    },
    '/pin': {
      post: {
        summary: 'Keeps a name for good: it is neither evicted nor collected.',
        requestBody: order(name),
        responses: pinned,
      },
      delete: {
        summary: 'Keeps a name no longer than any other.',
        requestBody: order(name),
        responses: pinned,
      },
    },
    '/collect': started('Takes out what nobody owns any more, and answers past any use.', {
      dryRun: { type: 'boolean', default: false },
    }),
    '/verify': started('Checks all that is stored, or so many pieces of content of it.', {
      repair: { type: 'boolean', default: false },
      sample: { type: 'integer', minimum: 1 },
    }),
    '/warm': started('Brings modules and images into the store ahead of need.', {
      go: texts('versions of modules, as M@V'),
      oci: texts('HOST/REPO:TAG, HOST/REPO@DIGEST, or HOST/REPO for its tag latest'),
      platforms: texts('of images, these alone, such as linux/amd64; default: all'),
    }),
    '/jobs': {
      get: { summary: 'Jobs, the newest first.', responses: answers('jobs', list(job), 400) },
    },
    '/jobs/{id}': {
      get: {
        summary: 'How far a job is, and what it brought.',
        parameters: jobId,
        responses: answers('the job; `error` says why it failed', job, 400, 404),
      },
      delete: {
        summary: 'Cancels a job; what it did until then stays done.',
        parameters: jobId,
        responses: {
          ...answers('it had ended already', job, 400, 404),
          202: { description: 'it is ending', ...json(job) },
        },
      },
    },
    '/modules': listing('modules', 'versions of modules'),
    '/modules/{name}': one('a version, M@V'),
    '/images': listing('images', 'tags, and digests that no tag leads to'),
    '/images/{name}': one('a tag or digest, HOST/REPO:TAG or HOST/REPO@DIGEST'),
    '/fills': {
      get: {
        summary: 'What is being fetched.',
        responses: answers(
          'the oldest first',
          object({
            fills: list(
              object({
                name: text,
                bytes: count,
                size: unknownCount,
                bytesPerSecond: count,
                waiters: count,
                since: time,
              }),
            ),
          }),
          400,
        ),
      },
    },
    '/stats': {
      get: {
        summary: 'How much is stored, and what it was good for since this replica started.',
        responses: answers(
          'counts',
          object({
            objects: unknownCount,
            bytes: unknownCount,
            maxBytes: unknownCount,
            hits: count,
            misses: count,
            upstreams: list(object({ name: text, hits: count, bytesSaved: count })),
          }),
          400,
        ),
      },
    },
    '/openapi.json': {
      get: {
        summary: 'This document.',
        responses: answers('OpenAPI 3.1', { type: 'object' }, 400),
      },
    },
  },
} as const;
