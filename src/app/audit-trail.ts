import type { Audit } from '../admin/audit.ts';
import type { Logger } from '../observability/logger.ts';

/** Lines in the log, whatever is logged beside them, unless nothing is to be. */
export function auditTrail(logger: Logger): Audit {
  const level = logger.level === 'silent' ? 'silent' : 'info';
  const trail = logger.child({}, { level });
  return (line) => {
    trail.info(line, 'audit');
  };
}
