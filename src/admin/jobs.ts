// Jobs: POST /admin/<kind> starts one, /admin/jobs tells of them. What has begun goes on when its client leaves.

import type { RequestHandler, Response } from 'express';
import { LarderError } from '../engine/errors.ts';
import type { Jobs, Work } from '../references/jobs.ts';
import { refuse } from './answers.ts';
import { changerOf, type AuditParts } from './audit.ts';
import { bodyReader, jsonOf } from './body.ts';
import { noParameters } from './parameters.ts';

/** What a member of a body must be: a number is whole, and 1 at least; texts are one string or a list of them. */
type Member = 'boolean' | 'number' | 'texts';

/** A kind of job. */
export interface JobKind {
  /** Members that a body may have. */
  readonly members: Readonly<Record<string, Member>>;
  /** The work that a body asks for, whose members are as said. Throws LarderError `invalid` for one that asks for none. */
  work(options: JobOptions): Work<unknown>;
}

/** Texts are a list. */
export type JobOptions = Readonly<Record<string, boolean | number | readonly string[] | undefined>>;

/** Texts that the audit log has as they are; of more, how many there were. */
const MAX_AUDITED = 100;

export interface JobRouteParts extends AuditParts {
  readonly jobs: Jobs;
  /** By the name that they are started under. */
  readonly kinds: Readonly<Record<string, JobKind>>;
}

/** Reads the body of what starts one: a list of names may be long. */
export const readJobBody = bodyReader(256);

/** To be given a body that was read. */
export function startJob(parts: JobRouteParts, name: string, kind: JobKind): RequestHandler {
  return (req, res) => {
    noParameters(req);
    const options = optionsOf(jsonOf(req, {}), kind);
    const by = changerOf(parts, req, res);
    const { id } = parts.jobs.start(name, kind.work(options), ({ state, result, error }) => {
      const line = { action: name, name: id, ...by, state, ...audited(options) };
      parts.audit({ ...line, ...(error === undefined ? counted(result) : { reason: error }) });
    });
    res.status(202).set('Location', `${req.baseUrl}/jobs/${id}`).json({ id });
  };
}

export const listJobs =
  ({ jobs }: Pick<JobRouteParts, 'jobs'>): RequestHandler =>
  (req, res) => {
    noParameters(req);
    res.json(jobs.list());
  };

export const showJob =
  ({ jobs }: Pick<JobRouteParts, 'jobs'>): RequestHandler<{ id: string }> =>
  (req, res) => {
    noParameters(req);
    const job = jobs.get(req.params.id);
    if (job) res.json(job);
    else unknownJob(res);
  };

/** Answers with the job as it is: its state turns to `cancelled` when it has ended. */
export const cancelJob =
  ({ jobs, audit, ...parts }: JobRouteParts): RequestHandler<{ id: string }> =>
  (req, res) => {
    noParameters(req);
    const { id } = req.params;
    const job = jobs.get(id);
    if (job === undefined) {
      unknownJob(res);
      return;
    }
    const isEnding = jobs.cancel(id);
    if (isEnding) audit({ action: 'cancel', name: id, ...changerOf(parts, req, res) });
    res.status(isEnding ? 202 : 200).json(job);
  };

const unknownJob = (res: Response): void => {
  refuse(res, 404, 'there is no job of that id: GET /admin/jobs lists those that are remembered');
};

function optionsOf(body: Readonly<Record<string, unknown>>, { members }: JobKind): JobOptions {
  const names = Object.keys(members);
  const unknown = Object.keys(body).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new LarderError(
      'invalid',
      `${JSON.stringify(unknown.slice(0, 80))} is no member of it: give ${names.join(', ')} or nothing`,
    );
  const options = names.map((name) => [name, optionOf(name, body[name], members[name])] as const);
  return Object.fromEntries(options.filter(([, value]) => value !== undefined));
}

function optionOf(name: string, value: unknown, kind: Member | undefined): JobOptions[string] {
  if (value === undefined || (kind === 'boolean' && typeof value === 'boolean')) return value;
  if (kind === 'number' && typeof value === 'number' && Number.isSafeInteger(value) && value > 0)
    return value;
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (kind === 'texts' && texts.every((text) => typeof text === 'string')) return texts;
  throw new LarderError('invalid', `${name} is ${kind === undefined ? 'unknown' : WANTED[kind]}`);
}

const WANTED: Readonly<Record<Member, string>> = {
  boolean: 'neither true nor false',
  number: 'no whole number above 0',
  texts: 'neither a string nor a list of strings',
};

const audited = (options: JobOptions): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(options).map(([name, value]) => [
      name,
      typeof value === 'object' && value.length > MAX_AUDITED ? value.length : value,
    ]),
  );

/** A result without its lists of names, of which their length is told. */
function counted(result: unknown): { result: unknown } {
  if (typeof result !== 'object' || result === null) return { result };
  const told = Object.entries(result).map(([name, value]: [string, unknown]) => [
    name,
    Array.isArray(value) ? value.length : value,
  ]);
  return { result: Object.fromEntries(told) as unknown };
}
