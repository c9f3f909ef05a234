import { AdmissionWebhook } from '../http/admission.ts';
import type { UpstreamClient } from '../http/client.ts';
import type { Logger } from '../observability/logger.ts';
import type { Config } from './config.ts';

/** Undefined where nobody is asked. */
export function composeAdmission(
  setting: Config['admission'],
  client: UpstreamClient,
  logger: Logger,
): AdmissionWebhook | undefined {
  if (setting === undefined) return undefined;
  const { onFailure } = setting;
  return new AdmissionWebhook({
    url: new URL(setting.url),
    onFailure,
    client,
    onUnreachable: (entrant, reason) => {
      logger.warn({ ...entrant, reason, onFailure }, 'the admission service cannot be asked');
    },
  });
}
