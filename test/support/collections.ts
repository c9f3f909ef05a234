// Jobs, above all collections, as an operator asks for them.

import { expect } from 'vitest';
import type { Job } from '../../src/references/jobs.ts';
import { request } from './http.ts';
import { ADMIN } from './purges.ts';
import { eventually } from './tmp.ts';

const authorization = `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}`;

export interface Collected {
  readonly count: number;
  readonly freedBytes: number;
  readonly collected: readonly string[];
}

/** Starts one and waits for its end. */
export const collect = (base: string, body: object = {}): Promise<Collected> =>
  runJob<Collected>(base, 'collect', body);

/** Starts a job of this kind, and waits until it is done. */
export async function runJob<R = Readonly<Record<string, unknown>>>(
  base: string,
  kind: string,
  body: object = {},
): Promise<R> {
  const started = await request(base, `/admin/${kind}`, {
    method: 'POST',
    headers: { authorization },
    body: JSON.stringify(body),
  });
  const { id } = JSON.parse(started.text) as { id: string };
  const location = `/admin/jobs/${id}`;
  expect([started.status, started.headers.location]).toEqual([202, location]);
  const job = await eventually(
    `the ${kind} job has ended`,
    async () => {
      const { text } = await request(base, location, { headers: { authorization } });
      const now = JSON.parse(text) as Job;
      return now.state !== 'running' && now;
    },
    60_000,
  );
  expect(job).toMatchObject({ id, kind, state: 'done' });
  return job.result as R;
}
