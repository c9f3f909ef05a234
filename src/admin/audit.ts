import type { Request, Response } from 'express';

/** Who changed something. */
export interface Changer {
  /** Of the request; its own line in the log has the same. */
  readonly requestId?: string;
  /** Address of who asked. */
  readonly remote?: string | undefined;
  /** Who has run the command line. */
  readonly user?: string;
}

/** One line of the audit log: who changed what, how, and how much. Every write of the admin API has one. */
export interface AuditLine extends Changer {
  /** `purge`, `collect`, `cancel`, … */
  readonly action: string;
  /** In the one spelling that it has; of a job, its id. */
  readonly name: string;
  readonly dryRun?: boolean;
  /** Bytes of content. Missing, as is the next one, where it failed. */
  readonly freedBytes?: number;
  /** How many names went. */
  readonly purged?: number;
  /** Of a job: how it ended, and what it brought. */
  readonly state?: string;
  readonly result?: unknown;
  /** Why it failed. */
  readonly reason?: string;
}

/** Writes the line down. Never throws. */
export type Audit = (line: AuditLine) => void;

export interface AuditParts {
  readonly audit: Audit;
  /** Of the request that is answered so. */
  readonly requestId: (res: Response) => string;
}

export const changerOf = (
  { requestId }: Pick<AuditParts, 'requestId'>,
  req: Pick<Request, 'socket'>,
  res: Response,
): Changer => ({ requestId: requestId(res), remote: req.socket.remoteAddress });
