/** One line of the audit log: who changed what, how, and how much. Every write of the admin API has one. */
export interface AuditLine {
  /** `purge`, `collect`, `cancel`, … */
  readonly action: string;
  /** In the one spelling that it has; of a job, its id. */
  readonly name: string;
  readonly requestId: string;
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
